# docker build --tag medispatcher --build-arg VERSION=v1.2.3 --build-arg COMMIT=abc1234 --build-arg DATE=2026-01-02T15:04:05Z .
FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev COMMIT=unknown DATE=unknown
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -o /out/ \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
    ./cmd/medispatcher ./cmd/amender
RUN echo 'medispatcher:x:65532:65532:medispatcher:/:/sbin/nologin' >/out/passwd && \
    echo 'medispatcher:x:65532:' >/out/group

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /out/medispatcher /out/amender /
# A numeric user, because Kubernetes cannot check runAsNonRoot against a name.
USER 65532:65532
# Other hosts can reach this address, so MEDIS_ADMIN_TOKEN is required at start.
ENV MEDIS_LISTEN=0.0.0.0:5601
EXPOSE 5601
STOPSIGNAL SIGTERM
# No HEALTHCHECK: nothing in this image can make a request. Probe GET /healthz and /readyz from outside.
ENTRYPOINT ["/medispatcher"]
