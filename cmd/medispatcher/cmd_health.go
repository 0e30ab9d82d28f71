package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
)

// healthWithin is below the 3 s that the HEALTHCHECK of the image has, so that the reason is seen.
const healthWithin = 2 * time.Second

func (a *app) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "health",
		GroupID: groupOperate,
		Short:   "Ask the dispatcher on this machine whether it is ready",
		Long: `Ask the dispatcher at MEDIS_LISTEN whether it is ready: it runs, Redis takes its writes,
and it is not stopping. It needs no token. It is the HEALTHCHECK of the container image.

Exit 0 when it is ready, 1 when it is not or does not answer.`,
		Example: `  medispatcher health
  MEDIS_LISTEN=:5601 medispatcher health --json`,
		Args: cli.NoArgs,
		// What else a dispatcher needs is no matter here.
		RunE: a.command(0, func(ctx context.Context, env *environment, _ []string) error { return env.health(ctx) }),
	}
	return a.jsonFlag(cmd, "print JSON")
}

func (e *environment) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	at, err := askReady(ctx, e.cfg.Listen, e.cfg.TLSCert != "")
	if e.json {
		said := struct {
			Ready   bool   `json:"ready"`
			Address string `json:"address"`
			Problem string `json:"problem,omitempty"`
		}{err == nil, at, ""}
		if err != nil {
			said.Problem = medispatcher.OneLine(err)
		}
		if err := cli.WriteJSON(e.stdout, said, ""); err != nil {
			return err
		}
	} else if err == nil {
		_, err := fmt.Fprintf(e.stdout, "the dispatcher at %s is ready\n", at)
		return err
	}
	return err
}

// askReady asks the dispatcher that listens on an address of MEDIS_LISTEN. at is the address that was asked last.
func askReady(ctx context.Context, listen string, secure bool) (at string, err error) {
	if _, err := config.CheckListen(listen); err != nil {
		return listen, cli.Usagef("MEDIS_LISTEN=%s: %v", listen, err)
	}
	host, port, _ := net.SplitHostPort(listen)
	if port == "0" {
		return listen, cli.Usagef("MEDIS_LISTEN=%s: the system chose the port, so only the log of the dispatcher knows it; give that port", listen)
	}
	var refused error
	for _, host := range reachableAt(host) {
		at = net.JoinHostPort(host, port)
		if err = getReady(ctx, at, secure); !isDial(err) {
			return at, err
		}
		refused = cmp.Or(refused, err)
	}
	return at, fmt.Errorf("nothing listens at %s (%w): start a dispatcher, or give MEDIS_LISTEN the address that it has", listen, refused)
}

// reachableAt are the hosts at which to try what listens on a host. A socket on all addresses is reached over the
// loopback, of IPv4 or, where a machine has only that, of IPv6.
func reachableAt(host string) []string {
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return []string{"127.0.0.1", "::1"}
	}
	return []string{host}
}

// isDial reports whether a request failed because nothing takes connections.
func isDial(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "dial"
}

// getReady asks one address. It uses no proxy: the dispatcher is on this machine. So its certificate, which may be for another
// name, is not checked either.
func getReady(ctx context.Context, at string, secure bool) error {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+at+api.ReadyPath, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the dispatcher at %s does not answer within %s", at, medispatcher.ShortDuration(healthWithin))
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		switch err := failed.Err; { // without the URL, which is named here or by the caller
		case isDial(err):
			return err
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("what listens at %s closed the connection without an answer, so it is no dispatcher, or is ending", at)
		default:
			return fmt.Errorf("what listens at %s cannot be asked: %w", at, err)
		}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var problem struct{ Detail string }
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&problem) != nil || problem.Detail == "" {
		return fmt.Errorf("what listens at %s answers %s to GET %s, so it is no dispatcher", at, resp.Status, api.ReadyPath)
	}
	return fmt.Errorf("the dispatcher at %s is %s", at, problem.Detail)
}
