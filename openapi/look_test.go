//go:build client

package openapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// lookAround looks at a message that is a dead letter of billing, at its attempts, and at who did what.
func lookAround(ctx context.Context, t *testing.T, c *ClientWithResponses, message string) {
	t.Helper()
	sub, text := ptr("billing"), ptr("disk is full")
	content := must(c.GetMessageContentWithResponse(ctx, message, nil))(t)
	if content.JSON200 == nil || content.JSON200.Place.State != "DEAD" {
		t.Errorf("read it: got %d %s, want 200 with the state DEAD", content.StatusCode(), content.Body)
	}
	body := must(c.GetMessageBodyWithResponse(ctx, message, nil))(t)
	if body.StatusCode() != http.StatusOK || string(body.Body) != "two" {
		t.Errorf("its body: got %d %s, want two", body.StatusCode(), body.Body)
	}
	request := must(c.GetMessageRequestWithResponse(ctx, message, &GetMessageRequestParams{Subscription: sub}))(t)
	if request.JSON200 == nil || !strings.HasPrefix(request.JSON200.Curl, "curl ") {
		t.Errorf("its request: got %d %s, want 200 with a curl command", request.StatusCode(), request.Body)
	}
	count := must(c.CountDeadLettersWithResponse(ctx, *sub, &CountDeadLettersParams{Q: text}))(t)
	if count.JSON200 == nil || count.JSON200.Matching != 1 {
		t.Errorf("count dead letters with %q: got %d %s, want one", *text, count.StatusCode(), count.Body)
	}
	eventually(t, "its attempt is listed", func() bool {
		list := must(c.ListDeliveriesWithResponse(ctx, *sub, &ListDeliveriesParams{Text: text}))(t)
		return list.JSON200 != nil && len(list.JSON200.Deliveries) == 1
	})
	for what, code := range map[string]int{
		"count unrouted":   must(c.CountUnroutedWithResponse(ctx, &CountUnroutedParams{Q: text}))(t).StatusCode(),
		"count quarantine": must(c.CountQuarantineWithResponse(ctx, &CountQuarantineParams{Q: text}))(t).StatusCode(),
		"try a filter":     must(c.TryFilterWithResponse(ctx, TryFilterJSONRequestBody{Filter: "true"}))(t).StatusCode(),
		"export audit":     must(c.ExportAuditWithResponse(ctx))(t).StatusCode(),
	} {
		if code != http.StatusOK {
			t.Errorf("%s: got %d, want 200", what, code)
		}
	}
	if audit := must(c.GetAuditWithResponse(ctx, nil))(t); audit.JSON200 == nil || len(audit.JSON200.Deeds) == 0 {
		t.Errorf("audit: got %d %s, want 200 with deeds", audit.StatusCode(), audit.Body)
	}
}

// publishEvent publishes an event that nobody wants.
func publishEvent(ctx context.Context, t *testing.T, c *ClientWithResponses) {
	t.Helper()
	event := PublishEventsApplicationCloudeventsPlusJSONRequestBody{"specversion": "1.0", "id": "1", "source": "/shop", "type": "other.topic"}
	sent := must(c.PublishEventsWithApplicationCloudeventsPlusJSONBodyWithResponse(ctx, nil, event))(t)
	if sent.JSON202 == nil || len(sent.JSON202.Ids) != 1 || sent.JSON202.Warnings == nil {
		t.Errorf("publish an event: got %d %s, want 202 with an id and a warning", sent.StatusCode(), sent.Body)
	}
}

// replay has the n messages that billing got delivered again from the archive, and looks at a replay.
func replay(ctx context.Context, t *testing.T, c *ClientWithResponses, arrived <-chan string, n int) {
	t.Helper()
	ask := ReplaySubscriptionJSONRequestBody{Since: "1h", DryRun: ptr(true)}
	if counted := must(c.ReplaySubscriptionWithResponse(ctx, "billing", ask))(t); counted.JSON200 == nil || counted.JSON200.Count.Messages != int64(n) {
		t.Errorf("count a replay: got %d %s, want 200 with %d messages", counted.StatusCode(), counted.Body, n)
	}
	ask.DryRun = nil
	if begun := must(c.ReplaySubscriptionWithResponse(ctx, "billing", ask))(t); begun.JSON202 == nil || begun.JSON202.Replay.Subscription != "billing" {
		t.Errorf("replay: got %d %s, want 202 with the replay", begun.StatusCode(), begun.Body)
	}
	for range n {
		<-arrived
	}
	eventually(t, "the replay is finished", func() bool {
		return must(c.GetReplayWithResponse(ctx, "billing"))(t).ApplicationproblemJSON404 != nil
	})
	if none := must(c.StopReplayWithResponse(ctx, "billing"))(t); none.ApplicationproblemJSON404 == nil {
		t.Errorf("stop a replay that is finished: got %d %s, want 404", none.StatusCode(), none.Body)
	}
}
