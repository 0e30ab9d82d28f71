package http1_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// TestDeadAddresses: dead addresses of a host do not use up the time of a request, and no more than two are tried at once.
func TestDeadAddresses(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		addresses string        // d: dead, r: refuses, s: takes 300 ms, k: lets in at once
		within    time.Duration // the deadline
		takes     time.Duration
		err       error
	}{
		"the only one":                  {"k", 5 * time.Second, 0, nil},
		"the first is dead":             {"dk", 5 * time.Second, 250 * time.Millisecond, nil},
		"and there is little time":      {"dk", 300 * time.Millisecond, 150 * time.Millisecond, nil},
		"the first refuses":             {"rk", 5 * time.Second, 0, nil},
		"the first is slow":             {"sd", 5 * time.Second, 300 * time.Millisecond, nil},
		"slow ones beside many dead":    {"dddds", 5 * time.Second, 4112 * time.Millisecond, nil},
		"two are dead":                  {"ddk", 30 * time.Second, 2250 * time.Millisecond, nil},
		"all but one are dead":          {"ddddddddk", 2 * time.Second, 1777 * time.Millisecond, nil},
		"all are dead":                  {"ddd", 5 * time.Second, 5 * time.Second, context.DeadlineExceeded},
		"all refuse":                    {"rrr", 5 * time.Second, 0, refused},
		"one refuses, all else is dead": {"drd", 5 * time.Second, 5 * time.Second, refused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, under, most := time.Now(), 0, 0
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				var ips []netip.Addr
				for i := range test.addresses {
					ips = append(ips, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
				}
				dialing := make(chan int, 100)
				c, err := http1.Race(ctx, ips, func(ctx context.Context, ip netip.Addr) (net.Conn, error) {
					time.Sleep(time.Nanosecond) // so that one that is given up ends first
					dialing <- 1
					defer func() { dialing <- -1 }()
					conn, _ := net.Pipe()
					switch test.addresses[ip.As4()[3]] {
					case 'd':
						<-ctx.Done()
						return nil, ctx.Err()
					case 'r':
						return nil, refused
					case 's':
						time.Sleep(300 * time.Millisecond)
					}
					return conn, nil
				})
				took := time.Since(start)
				cancel()
				synctest.Wait()
				for close(dialing); ; {
					n, more := <-dialing
					if !more {
						break
					}
					under += n
					most = max(most, under)
				}
				if !errors.Is(err, test.err) || (c != nil) != (err == nil) || took < test.takes || took > test.takes+time.Millisecond || under != 0 || most > 2 {
					t.Errorf("%v, %v after %s with %d at once, %d left; want %v after %s", c, err, took, most, under, test.err, test.takes)
				}
			})
		})
	}
}

func TestFamiliesTakeTurns(t *testing.T) {
	var ips []netip.Addr
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "::ffff:192.0.2.2"} {
		ips = append(ips, netip.MustParseAddr(s))
	}
	const want = "[2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3]"
	if got := fmt.Sprint(http1.Interleave(ips)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNameWithADeadAddress: a worker's name, and a proxy's, is dialled at its other address if the first one is dead.
func TestNameWithADeadAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, echo)
	ips := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")} // nobody listens at the first
	_, port, _ := net.SplitHostPort(s.addr)
	direct := newClient(t, http1.Options{})
	direct.Resolve(ips...)
	if a, _ := post(t, direct, "http://worker.test:"+port, "x"); a.Status != 200 {
		t.Errorf("status %d", a.Status)
	}
	proxied := newClient(t, http1.Options{Proxy: &url.URL{Scheme: "http", Host: "proxy.test:" + port}})
	proxied.Resolve(ips...)
	snd := proxied.Sender(t.Context())
	defer snd.Release()
	before := s.conns.Load()
	_, _ = snd.Post(&http1.Request{To: target(t, "http://worker.test")}, time.Now().Add(soon)) // what answers is no proxy
	if s.conns.Load() == before {
		t.Error("the proxy was not reached")
	}
}
