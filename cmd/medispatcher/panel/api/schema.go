package api

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

// The types below are medispatcher.Subscription as the OpenAPI document shows it. They
// are never decoded into: documents are checked by medispatcher.Rules alone. A test
// compares the fields.

type subscription struct {
	ID               string            `json:"id" required:"false" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" doc:"Also names its channel. In a body it may be left out; else it equals the path." example:"billing"`
	Topic            string            `json:"topic" maxLength:"255" doc:"A topic, or a pattern: * stands for one level, a last > for one or more" example:"order.*"`
	URLs             []string          `json:"urls" minItems:"1" maxItems:"64" doc:"Worker URLs, sharing the load. [T_ENV:PUB]http://… is used only by dispatchers whose MEDIS_ENV is PUB." example:"[\"http://billing.internal/hook\"]"`
	Paused           bool              `json:"paused" required:"false" doc:"Nothing is pushed; messages wait"`
	Concurrency      int               `json:"concurrency" required:"false" minimum:"1" doc:"Pushes in flight, for each dispatcher. Default MEDIS_CONCURRENCY, at most MEDIS_MAX_CONCURRENCY."`
	RetryConcurrency int               `json:"retry_concurrency" required:"false" minimum:"1" doc:"The same for repeated attempts. Default MEDIS_RETRY_CONCURRENCY, at most MEDIS_MAX_RETRY_CONCURRENCY."`
	Interval         string            `json:"interval" required:"false" doc:"Least time between the starts of two pushes, for each dispatcher; a Go duration. Default MEDIS_INTERVAL." example:"5ms"`
	Timeout          string            `json:"timeout" required:"false" doc:"Of one attempt. Default MEDIS_TIMEOUT, at most MEDIS_MAX_TIMEOUT." example:"5s"`
	MaxRetries       int               `json:"max_retries" required:"false" minimum:"0" doc:"n means n+1 attempts, then the message is a dead letter. Default MEDIS_MAX_RETRIES."`
	RetryCoefficient string            `json:"retry_coefficient" required:"false" doc:"The wait before attempt n+1 is n² times this. Default MEDIS_RETRY_COEFFICIENT." example:"10s"`
	Encoding         string            `json:"encoding" required:"false" enum:"json,form" doc:"json: the body unchanged. form: the protocol of earlier versions."`
	Secret           string            `json:"secret" required:"false" doc:"Signs pushes by Standard Webhooks: whsec_ and 24 to 64 bytes in base64. Masked in answers; writing the mask keeps it; a changed one signs beside the old one for MEDIS_SECRET_OVERLAP." example:"whsec_********"`
	Headers          map[string]string `json:"headers" required:"false" doc:"Added to every push. Values of headers that carry credentials, by their names, are masked in answers; writing the mask keeps them."`
	ReceiveBench     bool              `json:"receive_bench" required:"false" doc:"Whether a pattern such as > or *.x covers the topics of load tests, too: bench.<12 hex digits>. A pattern that begins with bench. covers them anyway."`
	Drop             dropPolicy        `json:"drop" required:"false" doc:"What becomes of a message that fails too often"`
	Alert            alertPolicy       `json:"alert" required:"false" doc:"When to alert; 0 switches a rule off"`
}

type dropPolicy struct {
	Threshold int    `json:"threshold" required:"false" minimum:"0" doc:"Failed attempts after which it is settled by action; 0 leaves it to max_retries"`
	Action    string `json:"action" required:"false" enum:"keep,log,drop" doc:"keep: a dead letter. log: to the DATA log, removed. drop: counted, removed."`
}

type alertPolicy struct {
	Enabled         bool     `json:"enabled" required:"false" doc:"Whether to alert at all"`
	URLs            []string `json:"urls" required:"false" doc:"Receivers; none: those of MEDIS_ALERT_URLS"`
	Window          string   `json:"window" required:"false" doc:"Time over which failures are counted" example:"3m"`
	Failures        int      `json:"failures" required:"false" minimum:"0" doc:"Failed attempts within window"`
	MessageFailures int      `json:"message_failures" required:"false" minimum:"0" doc:"Failed attempts of one message"`
	Backlog         int      `json:"backlog" required:"false" minimum:"0" doc:"Messages READY or retrying"`
	Every           string   `json:"every" required:"false" doc:"At most one alert of a rule in this time" example:"3m"`
}

const schemas = "#/components/schemas/"

var (
	refSubscription = &huma.Schema{Ref: schemas + "Subscription"}
	refPatch        = &huma.Schema{Ref: schemas + "SubscriptionPatch"}

	exampleDocument = map[string]any{
		"topic": "order.*", "urls": []string{"http://billing.internal/hook"}, "concurrency": 8, "timeout": "5s",
	}
	exampleSubscription = medispatcher.Subscription{
		ID: "billing", Topic: "order.*", URLs: []string{"http://billing.internal/hook"}, Concurrency: 8, RetryConcurrency: 2,
		Timeout: medispatcher.Duration(5 * time.Second), MaxRetries: 10, RetryCoefficient: medispatcher.Duration(10 * time.Second),
		Encoding: medispatcher.EncodingJSON, Secret: medispatcher.SecretMask, Headers: map[string]string{},
		Drop:  medispatcher.DropPolicy{Action: medispatcher.DropKeep},
		Alert: medispatcher.DefaultSubscription().Alert,
	}
)

func jsonBody(contentType string, schema *huma.Schema, example any) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{contentType: {Schema: schema, Example: example}}}
}

// describeSubscription makes the schemas, with the operator's defaults and maxima.
func (a *api) describeSubscription() {
	registry := a.huma.OpenAPI().Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[medispatcher.Subscription](), reflect.TypeFor[subscription]())
	full := registry.Schema(reflect.TypeFor[subscription](), false, "")
	all := registry.Map()

	patch := *full
	patch.Required = nil
	patch.Description = "A merge patch (RFC 7396) of a subscription: only what is to change; null gives a field its default again"
	all["SubscriptionPatch"] = &patch

	rules := a.Rules
	for name, limit := range map[string]int{"concurrency": rules.Max.Concurrency, "retry_concurrency": rules.Max.RetryConcurrency} {
		if limit > 0 {
			most := float64(limit)
			full.Properties[name].Maximum = &most
		}
	}
	if rules.Defaults.Encoding == "" {
		return // the configuration gave no defaults
	}
	defaults := fieldsOf(rules.Defaults)
	for _, own := range []string{"id", "topic", "urls", "headers"} { // of each subscription alone
		delete(defaults, own)
	}
	setDefaults(full, defaults)
	setDefaults(all["DropPolicy"], fieldsOf(rules.Defaults.Drop))
	setDefaults(all["AlertPolicy"], fieldsOf(rules.Defaults.Alert))
}

func setDefaults(s *huma.Schema, defaults map[string]any) {
	for name, p := range s.Properties {
		if v, known := defaults[name]; known && p.Ref == "" {
			p.Default = v
		}
	}
}

// fieldsOf is a document by the names of its fields.
func fieldsOf(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and durations only
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	return fields
}
