// How the admin UI is built: public/ becomes dist/public.
// Must not hold anything of the gateway.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** Beside each text its gzip, which the server sends as it is: packed once, here, instead of at each request. */
const packed: Plugin = {
  name: 'packed',
  writeBundle({ dir }) {
    for (const name of readdirSync(dir!, { recursive: true, encoding: 'utf8' }))
      if (/\.(js|css|svg|html)$/.test(name))
        writeFileSync(join(dir!, `${name}.gz`), gzipSync(readFileSync(join(dir!, name)), { level: constants.Z_BEST_COMPRESSION }))
  },
}

export default defineConfig({
  root: 'public',
  publicDir: 'static',
  plugins: [react(), packed],
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
