# The gateway in a small image, as a user without privileges. State is in /data, partner files are in /files.
FROM node:24-bookworm-slim AS build
WORKDIR /opt/fileflow
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
RUN groupadd --system --gid 2121 fileflow \
 && useradd --system --uid 2121 --gid fileflow --home-dir /data --no-create-home --shell /usr/sbin/nologin fileflow \
 && install -d -o fileflow -g fileflow -m 0750 /data /files
WORKDIR /opt/fileflow
COPY --from=build /opt/fileflow/package.json ./
COPY --from=build /opt/fileflow/node_modules ./node_modules
COPY --from=build /opt/fileflow/dist ./dist
COPY --from=build /opt/fileflow/src ./src
COPY --from=build /opt/fileflow/LICENSE ./
# Inside the container the page listens on all addresses: publish its port to 127.0.0.1 only, or put a proxy with TLS before it.
ENV NODE_ENV=production \
    FILEFLOW_DATA_DIR=/data \
    FILEFLOW_STORAGE_ROOT=/files \
    FILEFLOW_ADMIN_HOST=0.0.0.0
USER fileflow
VOLUME ["/data", "/files"]
EXPOSE 2121 2222 8082 30000-30099
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8082/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/launch.mjs"]
CMD ["serve"]
