package recover

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// open opens a DATA log in a temporary directory.
func open(t *testing.T) (log *DataLog, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "data.log")
	log, err := OpenDataLog(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log, path
}

// read reads every line of a DATA log.
func read(t *testing.T, path string) []Line {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []Line
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var l Line
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil || d.More() {
			t.Fatalf("line %d is not one JSON object: %v\n%s", len(lines)+1, err, s.Text())
		}
		lines = append(lines, l)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Errorf("the file does not end with a line break: %q", text)
	}
	return lines
}

// writeTo writes a line.
func writeTo(log *DataLog, l Line) error {
	text, err := Encode(l)
	if err == nil {
		_, err = log.Append(text)
	}
	return err
}

func write(t *testing.T, log *DataLog, l Line) {
	t.Helper()
	if err := writeTo(log, l); err != nil {
		t.Fatal(err)
	}
}

func TestLineHoldsTheWholeMessage(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"order":42}`, "", "two\r\nlines\u2028\x00 <&>", "é\U0001F600", "\xff\xfe\n\x00", "almost UTF-8 \xc3"} {
		log, path := open(t)
		m := medispatcher.Message{
			ID: "0-1-0", Generated: true, Topic: "order.created", Body: []byte(body), Sender: "shop", Key: "k", Type: "text/plain",
			Headers: map[string]string{"X-A": "a\tb"}, Time: time.UnixMilli(1_700_000_000_123), Delay: time.Second,
		}
		before := time.Now()
		write(t, log, Line{Code: Resent, Error: "a\nb", Subscription: "billing", Attempt: 2, Partition: 3, Entry: "7-1", Message: MessageOf(&m)})
		lines := read(t, path)
		if len(lines) != 1 {
			t.Fatalf("%d lines for body %q", len(lines), body)
		}
		l := lines[0]
		if l.Time.Before(before) || l.Time.After(time.Now()) || l.Time.Location() != time.UTC {
			t.Errorf("time %s, want now, in UTC", l.Time)
		}
		l.Time = time.Time{}
		want := Line{Code: "RESENT", Error: "a\nb", Subscription: "billing", Attempt: 2, Partition: 3, Entry: "7-1", Message: MessageOf(&m)}
		if !reflect.DeepEqual(l, want) {
			t.Errorf("read %+v\nwant %+v", l, want)
		}
		got := l.Message.BodyBase64
		if l.Message.Body != nil {
			got = []byte(*l.Message.Body)
		}
		if string(got) != body || l.Message.Time != 1_700_000_000_123 || l.Message.ID != "0-1-0" || l.Message.Headers["X-A"] != "a\tb" {
			t.Errorf("message %+v, body %q, want %q", l.Message, got, body)
		}
	}
}

// TestNames: the names in the log stay as they are, because people read it with their own tools.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		line Line
		want string
	}{
		{"text", Line{Code: Sent, Message: MessageOf(&medispatcher.Message{Topic: "a", Body: []byte("x")})}, `{"code":"SENT","partition":0,"message":{"topic":"a","body":"x"}}`},
		{"no body", Line{Code: Sent, Message: MessageOf(&medispatcher.Message{Topic: "a"})}, `{"code":"SENT","partition":0,"message":{"topic":"a","body":""}}`},
		{"not UTF-8", Line{Code: Sent, Message: MessageOf(&medispatcher.Message{Topic: "a", Body: []byte{0xff, 0}})}, `{"code":"SENT","partition":0,"message":{"topic":"a","body_base64":"/wA="}}`},
		{
			"everything", Line{Code: RedistributeFail, Error: "e", Subscription: "s", Attempt: 1, Partition: 2, Entry: "1-0", Raw: map[string]string{"a": "b"}, Message: MessageOf(&medispatcher.Message{
				ID: "i", Topic: "t", Body: []byte("b"), Sender: "s", Key: "k", Type: "y", Headers: map[string]string{"h": "v"}, Time: time.UnixMilli(5),
			})},
			`{"code":"REDISTFAIL","error":"e","subscription":"s","attempt":1,"partition":2,"entry":"1-0",` +
				`"message":{"id":"i","topic":"t","body":"b","sender":"s","key":"k","type":"y","headers":{"h":"v"},"time":5},"raw":{"a":"b"}}`,
		},
	} {
		var out bytes.Buffer
		log := Stdout(&out)
		write(t, log, tc.line)
		var got map[string]any
		var want map[string]any
		if err := errors.Join(json.Unmarshal(out.Bytes(), &got), json.Unmarshal([]byte(tc.want), &want)); err != nil {
			t.Fatal(err)
		}
		if got["time"] == nil {
			t.Errorf("%s: no time", tc.name)
		}
		delete(got, "time")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s\nwant %s", tc.name, out.Bytes(), tc.want)
		}
	}
}

func TestRawFields(t *testing.T) {
	t.Parallel()
	var l Line
	l.SetRaw(map[string]string{"topic": "a..b", "body": "\xff", "n\xffme": "x", "": "é"})
	if want := map[string]string{"topic": "a..b", "": "é"}; !reflect.DeepEqual(l.Raw, want) {
		t.Errorf("raw %v, want %v", l.Raw, want)
	}
	if want := map[string]string{"Ym9keQ==": "/w==", "bv9tZQ==": "eA=="}; !reflect.DeepEqual(l.RawBase64, want) {
		t.Errorf("in base64 %v, want %v", l.RawBase64, want)
	}
	log, path := open(t)
	write(t, log, l)
	if got := read(t, path)[0]; !reflect.DeepEqual(got.Raw, l.Raw) || !reflect.DeepEqual(got.RawBase64, l.RawBase64) {
		t.Errorf("read %+v, wrote %+v", got, l)
	}
	l = Line{}
	if l.SetRaw(nil); l.Raw != nil || l.RawBase64 != nil {
		t.Errorf("%+v of no fields", l)
	}
}

func TestLinesOfManyWritersStayWhole(t *testing.T) {
	t.Parallel()
	first, path := open(t)
	second, err := OpenDataLog(path) // as another process would
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		log := []*DataLog{first, second}[w%2]
		wg.Go(func() {
			for i := range each {
				body := strings.Repeat(string(rune('a'+w)), 10_000+i)
				if err := writeTo(log, Line{Code: Sent, Entry: fmt.Sprintf("%d-%d", w, i), Message: MessageOf(&medispatcher.Message{Topic: "t", Body: []byte(body)})}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, l := range read(t, path) {
		body := *l.Message.Body
		if len(body) < 10_000 || strings.Trim(body, body[:1]) != "" || seen[l.Entry] {
			t.Errorf("line of %s is damaged, or there twice", l.Entry)
		}
		seen[l.Entry] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d lines, want %d", len(seen), writers*each)
	}
}

func TestFileIsPrivateAndAppendedTo(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	write(t, log, Line{Code: Sent})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %s, %v; want only the owner to read it", info.Mode(), err)
	}
	again, err := OpenDataLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	write(t, again, Line{Code: Resent})
	if lines := read(t, path); len(lines) != 2 || lines[0].Code != Sent || lines[1].Code != Resent {
		t.Errorf("%+v", lines)
	}
	if err := writeTo(log, Line{}); err == nil {
		t.Error("wrote to a log that is closed")
	}
}

func TestPathThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing", "data.log"), ""} {
		_, err := OpenDataLog(path)
		if err == nil || !strings.Contains(err.Error(), "MEDIS_DATA_LOG") || !strings.Contains(err.Error(), "- for stdout") || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want what to set", path, err)
		}
	}
}

func TestStdoutStaysOpen(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "stdout")
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	log := Stdout(stdout)
	write(t, log, Line{Code: Sent})
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if _, err := stdout.WriteString("{}\n"); err != nil {
		t.Errorf("closing the log closed stdout: %v", err)
	}
	if lines := read(t, out); len(lines) != 2 || lines[0].Code != Sent {
		t.Errorf("%+v", lines)
	}
}

// TestDataLogIsNoLink: a link that somebody else made does not lead the messages elsewhere, but /dev/stdout, which is one, works.
func TestDataLogIsNoLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDataLog(link); err == nil || !strings.Contains(err.Error(), link+" is a symbolic link") {
		t.Errorf("through a link: %v", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the target was made: %v", err)
	}
	d, err := OpenDataLog("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}
