// Command publish publishes a message: go run ./examples/go/publish redis|http TOPIC BODY
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher/publish"
)

func main() {
	ways := map[string]func(ctx context.Context, topic, body string) error{"redis": byRedis, "http": byHTTP}
	if len(os.Args) != 4 || ways[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: publish redis|http TOPIC BODY")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ways[os.Args[1]](ctx, os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err) //nolint:gocritic // nothing is left to do
	}
}

func setting(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }

func byRedis(ctx context.Context, topic, body string) error {
	url := setting("REDIS_URL", "redis://127.0.0.1:6379/0")           // that of the dispatchers
	partitions, err := strconv.Atoi(setting("MEDIS_PARTITIONS", "1")) // as the dispatchers have it
	if err != nil {
		return err
	}
	// A program makes one Publisher, and uses it for as long as it runs.
	p, err := publish.New(publish.Options{
		URL: url, Partitions: partitions,
		RecoverList: "go", RecoverURL: setting("RECOVER_REDIS_URL", url), // their MEDIS_RECOVER_REDIS_URL
	})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	r, err := p.Publish(ctx, publish.Message{Topic: topic, Body: []byte(body)})
	if err != nil {
		return err // neither published nor parked
	}
	if r.Parked {
		log.Print("parked: the dispatchers publish it from the recover list")
	}
	fmt.Println(r.ID)
	return nil
}

func byHTTP(ctx context.Context, topic, body string) error {
	url := setting("MEDIS_URL", "http://127.0.0.1:5601") + "/api/v1/topics/" + topic + "/messages"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token := os.Getenv("MEDIS_TOKEN"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	fmt.Println(strings.TrimSpace(string(answer)))
	return nil
}
