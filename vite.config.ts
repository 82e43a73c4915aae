// How the admin UI is built: public/ becomes dist/public. And one large dependency of the gateway becomes few files.
// Must not hold anything of the gateway.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { build, defineConfig, type Plugin } from 'vite'

/** Beside each text its gzip, which the server sends as it is: packed once, here, instead of at each request. */
const packed: Plugin = {
  name: 'packed',
  writeBundle({ dir }) {
    for (const name of readdirSync(dir!, { recursive: true, encoding: 'utf8' }))
      if (/\.(js|css|svg|html)$/.test(name))
        writeFileSync(join(dir!, `${name}.gz`), gzipSync(readFileSync(join(dir!, name)), { level: constants.Z_BEST_COMPRESSION }))
  },
}

/** TypeBox is 700 files, and reading them is most of what a command takes: src/launch.mjs has it read from here. Whole at once, since a gateway may start right now. */
const typebox: Plugin = {
  name: 'typebox',
  async closeBundle() {
    const root = import.meta.dirname
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules/typebox/package.json'), 'utf8'))
    const folder = join(root, `dist/typebox-${version}`)
    if (existsSync(folder)) return
    const making = `${folder}.${process.pid}`
    await build({
      configFile: false,
      root,
      publicDir: false,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: {
        ssr: true,
        outDir: making,
        target: 'node24',
        rolldownOptions: {
          input: { index: 'typebox', compile: 'typebox/compile', value: 'typebox/value' },
          output: { entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' },
        },
      },
    })
    try {
      renameSync(making, folder)
    } catch {
      // another build was first
      rmSync(making, { recursive: true })
    }
  },
}

export default defineConfig({
  root: 'public',
  publicDir: 'static',
  plugins: [react(), packed, typebox],
  build: {
    outDir: '../dist/public',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8082' } },
})
