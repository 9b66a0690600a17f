# The image of the sidecar: one static binary, the CA certificates and the licenses.
#
#   docker build -t wxsidecar:dev .            (or podman build; `make image` uses what is installed)
#   docker build --build-arg VERSION=v1.2.3 -t registry.example.com/wxsidecar:v1.2.3 .
#
# If the image registry or the Go module proxy is unreachable, use a mirror of each:
#
#   docker build --build-arg GO_IMAGE=registry.example.com/golang:1.26 --build-arg GOPROXY=https://… -t wxsidecar:dev .

ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
# For the build only. Unset means Go's default.
ARG GOPROXY
WORKDIR /src
# The modules first: this layer is rebuilt only if they change.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT
# CGO_ENABLED=0: an empty image has no libraries. The same source, VERSION and COMMIT give the same binary (-trimpath).
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /out/sidecar ./sidecar && \
    sh .ci/licenses >/out/THIRD_PARTY_LICENSES

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="wxsidecar" \
      org.opencontainers.image.description="Keeps WeChat access_tokens in memcached, one renewal for a whole fleet" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
# For HTTPS requests to WeChat: an empty image has no CA certificates.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /out/THIRD_PARTY_LICENSES /licenses/
COPY --from=build /out/sidecar /sidecar
# A number: Kubernetes cannot check runAsNonRoot against a name.
USER 65532:65532
# Health. The API listens on loopback port 7200, which is not exposed.
EXPOSE 7201
ENTRYPOINT ["/sidecar"]
