package recover

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// readAll reads a DATA log, and describes each line or its error.
func readAll(t testing.TB, text string, maxBody int64) (lines []Line, said []string) {
	t.Helper()
	r := NewReader(strings.NewReader(text), maxBody)
	for {
		l, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return lines, said
		case errors.Is(err, ErrForeign):
			said = append(said, "foreign")
		case errors.Is(err, ErrTorn):
			said = append(said, "torn")
		case errors.Is(err, ErrLongLine):
			said = append(said, "long")
		case err != nil:
			t.Fatal(err)
		default:
			said = append(said, string(l.Code))
			lines = append(lines, l)
		}
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	const whole = `{"code":"SENT","time":"2026-01-02T03:04:05Z","partition":0,"message":{"topic":"a","body":"x"}}`
	for text, want := range map[string]string{
		whole:                                          "SENT",
		whole + "\n":                                   "SENT",
		whole + "\r\n\n  \n" + whole:                   "SENT SENT",
		"medis-1  | " + whole + "\n":                   "SENT",
		"2026-01-02 stdout F " + whole:                 "SENT",
		"starting\n" + whole + "\n{}\n":                "foreign SENT foreign",
		`{"code":"E42","time":"2026-01-02T03:04:05Z"}`: "foreign",
		`{"code":42}`:                                  "foreign",
		`{"code":"SENT"}`:                              "torn", // no time
		whole[:40]:                                     "torn",
		`{"code":"SE`:                                  "torn",
		`{"code":"SOMETHING`:                           "foreign",
		whole[:40] + whole:                             "torn",
		whole + whole:                                  "torn",
		strings.Replace(whole, `"x"`, `"x`+"\n", 1):    "torn foreign",
		strings.Replace(whole, `"x"`, `1`, 1):          "torn",
		whole[:60] + strings.Repeat("x", 1<<20) + "\n" + whole:   "long SENT",
		strings.Repeat("x", 1<<20):                               "long",
		"\xff\xfe\n" + whole:                                     "foreign SENT",
		`{"time":"now","msg":"{\"code\":\"SENT\"}"}`:             "foreign",
		`{"code":"DROPPED","time":"2026-01-02T03:04:05Z","x":1}`: "DROPPED", // of a later version
		// Written anew by another program.
		`{"code": "SENT", "time": "2026-01-02T03:04:05Z", "message": {"topic": "a", "body": "x"}}`:                  "SENT",
		`{"host":"h","code":"SENT","time":"2026-01-02T03:04:05Z","message":{"topic":"a","body":"x"}}`:               "SENT",
		`{"log":` + strconv.Quote(whole+"\n") + `,"stream":"stdout","time":"2026-01-02T03:04:05Z"}`:                 "SENT",
		`{"log":` + strconv.Quote(whole[:80]) + `,"stream":"stdout"}` + "\n" + `{"code" : "DROPPED", "message" : {`: "torn torn",
		`{"code": "E42", "message": "no code of ours"}`:                                                             "foreign",
	} {
		if _, said := readAll(t, text, 1000); strings.Join(said, " ") != want {
			t.Errorf("%.80q: %v, want %s", text, said, want)
		}
	}
}

func TestReaderCountsLines(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("x\n\n\ny\n"), 10)
	_, _ = r.Next()
	_, _ = r.Next()
	if r.N() != 4 {
		t.Errorf("line %d, want 4", r.N())
	}
}

// slowReader returns one byte at a time, and an error at the end.
type slowReader struct{ text string }

func (r *slowReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, errors.New("disk on fire")
	}
	p[0] = r.text[0]
	r.text = r.text[1:]
	return 1, nil
}

func TestReaderTellsErrors(t *testing.T) {
	t.Parallel()
	r := NewReader(&slowReader{"x\ny"}, 10)
	if _, err := r.Next(); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	if _, err := r.Next(); err == nil || err.Error() != "disk on fire" {
		t.Error(err)
	}
}

// TestOnceToken: two lines about the same event of the same message have one token.
func TestOnceToken(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0).UTC()
	m := &Message{Topic: "a", ID: "0-1-0", Generated: true}
	base := Line{Code: DroppedMessage, Time: at, Subscription: "s", Entry: "1-0", Message: m}
	change := func(f func(*Line)) string { l := base; f(&l); return l.OnceToken() }
	for what, same := range map[string]string{
		"time":    change(func(l *Line) { l.Time = at.Add(1) }),
		"error":   change(func(l *Line) { l.Error = "x" }),
		"attempt": change(func(l *Line) { l.Attempt = 3 }),
	} {
		if same != base.OnceToken() {
			t.Errorf("another %s is another recovery", what)
		}
	}
	seen := map[string]string{base.OnceToken(): "base"}
	for what, other := range map[string]string{
		"code":         change(func(l *Line) { l.Code = RedistributeFail }),
		"subscription": change(func(l *Line) { l.Subscription = "t" }),
		"entry":        change(func(l *Line) { l.Entry = "2-0" }),
		"partition":    change(func(l *Line) { l.Partition = 1 }),
		"message":      change(func(l *Line) { l.Message = &Message{Topic: "b"} }),
		"raw":          change(func(l *Line) { l.Raw = map[string]string{"a": "b"} }),
		"no ids":       change(func(l *Line) { l.Entry = ""; l.Message = &Message{Topic: "a"} }),
		"no ids later": change(func(l *Line) { l.Entry = ""; l.Message = &Message{Topic: "a"}; l.Time = at.Add(1) }),
		"token":        change(func(l *Line) { l.Token = "t.1" }),
		"its own":      change(func(l *Line) { l.Code = RecoverFailBack; l.Token = "t.1" }),
	} {
		if seen[other] != "" {
			t.Errorf("%s and %s are one recovery", what, seen[other])
		}
		seen[other] = what
	}
	if own := (&Line{Code: RecoverFailBack, Token: "t.1"}).OnceToken(); own != "t.1" {
		t.Errorf("RECOVFAILBACK has token %q, want the watcher's", own)
	}
}

// FuzzLine: the Reader reads every line that DataLog wrote, whatever else is in the file.
func FuzzLine(f *testing.F) {
	f.Add("a.b", []byte("body"), "id", "k", "err", "name", "value", int64(5), "noise")
	f.Add("", []byte("\xff\x00"), "", "\u2028", "\xff", "\xfe", "<&>", int64(-1), `{"code":"`)
	f.Fuzz(func(t *testing.T, topic string, body []byte, id, key, text, name, value string, n int64, noise string) {
		var out bytes.Buffer
		log := Stdout(&out)
		valid := func(s string) string { return strings.ToValidUTF8(s, "?") } // as the fields of a message are
		m := medispatcher.Message{
			Topic: valid(topic), Body: body, ID: valid(id), Key: valid(key), Generated: n%2 == 0,
			Headers: map[string]string{valid(name): valid(value)}, Delay: time.Duration(n%1e6) * time.Millisecond,
		}
		if n != 0 {
			m.Time = time.UnixMilli(n % 1e15)
		}
		l := Line{Code: RecoverFailBack, Error: valid(text), Entry: valid(id), Source: valid(key), Token: valid(text), Partition: int(n % 1000), Message: MessageOf(&m)}
		fields := map[string]string{name: value, "raw": text}
		l.SetRaw(fields)
		noise = strings.NewReplacer("\n", "", "\r", "").Replace(noise)
		out.WriteString(noise + "\n")
		put(t, log, l)
		out.WriteString(noise)
		lines, _ := readAll(t, out.String(), 1<<20)
		found := false
		for _, got := range lines {
			if got.Token != l.Token || got.Message == nil {
				continue
			}
			found = true
			back := got.Message.Restore()
			if string(back.Body) != string(body) || back.ID != m.ID || back.Topic != m.Topic || back.Delay != m.Delay || back.Generated != m.Generated ||
				back.Time.UnixMilli() != m.Time.UnixMilli() && n%1e15 != 0 || !reflect.DeepEqual(back.Headers, m.Headers) {
				t.Errorf("read %+v, wrote %+v", back, m)
			}
			if raw, err := got.Fields(); err != nil || !reflect.DeepEqual(raw, fields) {
				t.Errorf("fields %q, %v; want %q", raw, err, fields)
			}
			if got.OnceToken() != l.OnceToken() {
				t.Error("another token")
			}
		}
		if !found {
			t.Errorf("not found in %q", out.String())
		}
	})
}

func put(t testing.TB, log *DataLog, l Line) {
	t.Helper()
	if err := writeTo(log, l); err != nil {
		t.Fatal(err)
	}
}

// FuzzReader: the Reader survives any file.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"code":"SENT","time":"2026-01-02T03:04:05Z"}` + "\n{"))
	f.Add([]byte(`{"code":"REDISTFAIL","time":"2026-01-02T03:04:05Z","subscription":"s","message":{"topic":"a","id":"x","body":""}}`))
	f.Add([]byte(`{"code":"DECODERR","time":"2026-01-02T03:04:05Z","raw":{"topic":"a","body":"b"},"raw_base64":{"?":""}}`))
	f.Add([]byte(`{"code":"RECOVFAILDECODE","time":"2026-01-02T03:04:05Z","raw":{"raw":"{\"topic\":\"a\",\"body\":\"\"}"}}`))
	f.Add([]byte(`{"code":"KICKFAIL","time":"2026-01-02T03:04:05Z","subscription":"s","entry":"1-","message":{"topic":"a","id":"x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, _ := readAll(t, string(text), 100)
		for _, l := range lines {
			plan := planner().Plan(&l)
			n := 0
			for _, has := range []bool{plan.Once != nil, plan.Nothing != "", plan.Problem != ""} {
				if has {
					n++
				}
			}
			if n != 1 || strings.Contains(plan.Problem, "\n") {
				t.Errorf("%+v of %+v", plan, l)
			}
			if plan.Once != nil && (plan.Once.Message.Check() != nil || len(plan.Once.Message.Body) > 100 || plan.Partition < 0 || plan.Partition > 1) {
				t.Errorf("%+v of %+v", plan.Once, l)
			}
		}
	})
}

// TestReasonsHoldNoValues: whoever puts the body into another field finds it in no reason.
func TestReasonsHoldNoValues(t *testing.T) {
	for _, field := range []string{"topic", "body", "body_base64", "id", "sender", "key", "type", "headers", "time", "delay"} {
		for _, value := range []string{`"card 4111"`, `4111`, `{"card":"4111"}`, `"4111\n"`} {
			other := map[string]string{"topic": `"a"`, "body": `"x"`}
			delete(other, strings.TrimSuffix(field, "_base64"))
			item := `{"` + field + `":` + value
			for name, text := range other {
				item += `,"` + name + `":` + text
			}
			if _, err := DecodeItem([]byte(item+"}"), 100); err != nil && strings.Contains(err.Error(), "4111") {
				t.Errorf("%s: %v", item, err)
			}
		}
	}
}

// FuzzDecodeItem: an item that decodes is a message that can be published, and nothing of it is changed.
func FuzzDecodeItem(f *testing.F) {
	for _, s := range []string{
		`{"topic":"a","body":"x"}`, `{"topic":"a","body_base64":"/wA=","headers":{"a":"b"},"time":"5","delay":"1s"}`,
		`{"topic":"a","body":"\ud83d\ude00","key":"k","id":"i","sender":"s","type":"t","time":1700000000000,"delay":5}`, `[1]`, `{"`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := DecodeItem(text, 100)
		if err != nil {
			if _, syntax := errors.AsType[SyntaxError](err); !syntax && !json.Valid(text) {
				t.Errorf("%q is not JSON, and the error is %v", text, err)
			}
			return
		}
		if m.Check() != nil || len(m.Body) > 100 {
			t.Fatalf("%+v is no message", m)
		}
		again, err := json.Marshal(MessageOf(&m))
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeItem(again, 100)
		m.Delay = m.Delay.Truncate(time.Millisecond)
		if err != nil || string(back.Body) != string(m.Body) || back.Topic != m.Topic || back.ID != m.ID || back.Delay != m.Delay ||
			!back.Time.Equal(m.Time) && m.Time.UnixMilli() != 0 {
			t.Errorf("%s is read as %+v, %v; want %+v", again, back, err, m)
		}
	})
}
