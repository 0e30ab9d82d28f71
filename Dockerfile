# docker build --tag medispatcher --build-arg VERSION=v1.2.3 --build-arg COMMIT=abc1234 --build-arg DATE=2026-01-02T15:04:05Z .
# BINARIES=prebuilt takes the binaries from the context, where a release has them, instead of compiling them.
ARG BINARIES=compiled

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
RUN mkdir /out && \
    echo 'medispatcher:x:65532:65532:medispatcher:/:/sbin/nologin' >/out/passwd && \
    echo 'medispatcher:x:65532:' >/out/group

FROM build AS compiled
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev COMMIT=unknown DATE=unknown
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -o /out/ \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
    ./cmd/medispatcher ./cmd/amender
RUN mkdir /out/licenses && cp LICENSE /out/licenses/ && \
    .ci/licenses ./cmd/medispatcher ./cmd/amender >/out/licenses/third-party

FROM build AS prebuilt
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/medispatcher $TARGETPLATFORM/amender /out/
COPY LICENSE bin/third-party /out/licenses/

FROM $BINARIES AS binaries

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=binaries /out/passwd /out/group /etc/
COPY --from=binaries /out/licenses /licenses
COPY --from=binaries /out/medispatcher /out/amender /
ARG VERSION=dev COMMIT=unknown DATE=unknown
LABEL org.opencontainers.image.title=medispatcher \
      org.opencontainers.image.source=https://github.com/solate/medispatcher \
      org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.created=$DATE
# A numeric user, because Kubernetes cannot check runAsNonRoot against a name.
USER 65532:65532
# Every address, of IPv6 where there is one. Other hosts can reach it, so MEDIS_ADMIN_TOKEN is required at start.
ENV MEDIS_LISTEN=:5601
EXPOSE 5601
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/medispatcher", "health"]
ENTRYPOINT ["/medispatcher"]
