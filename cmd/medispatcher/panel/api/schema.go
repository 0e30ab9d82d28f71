package api

import (
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

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
		RetrySchedule: []medispatcher.Duration{}, SecretHeaders: []string{},
		Scope: medispatcher.ScopeDispatcher, Encoding: medispatcher.EncodingJSON, Secret: medispatcher.SecretMask, Headers: map[string]string{},
		Batch: medispatcher.DefaultSubscription().Batch,
		Drop:  medispatcher.DropPolicy{Action: medispatcher.DropKeep},
		Alert: medispatcher.DefaultSubscription().Alert,
	}
)

func jsonBody(contentType string, schema *huma.Schema, example any) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{contentType: {Schema: schema, Example: example}}}
}

// subscription stands for medispatcher.Subscription where huma makes schemas of types. Documents
// are never decoded by a schema: medispatcher.Rules alone checks them.
type subscription struct{}

// Schema points to the schema that describeSubscription makes.
func (subscription) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Ref: refSubscription.Ref} }

// describeSubscription makes the schemas of medispatcher.Fields, with the operator's defaults and maxima.
func (a *api) describeSubscription() {
	registry := a.huma.OpenAPI().Components.Schemas
	registry.RegisterTypeAlias(reflect.TypeFor[medispatcher.Subscription](), reflect.TypeFor[subscription]())
	all := registry.Map()
	full := newObject()
	all["Subscription"] = full
	objects := map[string]*huma.Schema{"": full} // by the names of the fields that hold them
	for _, f := range medispatcher.Fields() {
		parent, name := "", f.Name
		if at := strings.LastIndex(f.Name, "."); at >= 0 {
			parent, name = f.Name[:at], f.Name[at+1:]
		}
		objects[parent].Properties[name] = a.property(f)
		if f.Required {
			objects[parent].Required = append(objects[parent].Required, name)
		}
		if f.Kind == medispatcher.KindObject {
			objects[f.Name] = newObject()
			all[f.Schema] = objects[f.Name]
		}
	}

	patch := *full
	patch.Required = nil
	patch.Description = "A merge patch (RFC 7396) of a subscription: only what is to change; null gives a field its default again"
	all["SubscriptionPatch"] = &patch
}

func newObject() *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
}

// property is the schema of a field.
func (a *api) property(f medispatcher.Field) *huma.Schema {
	if f.Kind == medispatcher.KindObject {
		return &huma.Schema{Ref: schemas + f.Schema, Description: f.Help}
	}
	s := &huma.Schema{Type: huma.TypeString, Description: description(f), Pattern: f.Pattern}
	for _, choice := range f.Choices {
		s.Enum = append(s.Enum, choice)
	}
	if f.Default != "" && a.Rules.Defaults.Encoding != "" { // else the configuration gave no defaults
		s.Default = f.Value(&a.Rules.Defaults)
	}
	if f.Example != "" {
		s.Examples = []any{f.Example}
	}
	low, high := a.Rules.Bounds(f)
	switch f.Kind {
	case medispatcher.KindObject, medispatcher.KindDuration, medispatcher.KindSize:
	case medispatcher.KindText:
		s.MaxLength = limit[int](high)
	case medispatcher.KindBool:
		s.Type = huma.TypeBoolean
	case medispatcher.KindNumber:
		s.Type, s.Format, s.Minimum, s.Maximum = huma.TypeInteger, "int64", limit[float64](low), limit[float64](high)
	case medispatcher.KindHeaders:
		s.Type, s.AdditionalProperties = huma.TypeObject, &huma.Schema{Type: huma.TypeString}
	case medispatcher.KindList:
		s.Type, s.Items, s.MinItems, s.MaxItems = huma.TypeArray, &huma.Schema{Type: huma.TypeString}, limit[int](low), limit[int](high)
		if f.Example != "" {
			s.Examples = []any{[]string{f.Example}}
		}
	}
	return s
}

// limit is a bound as huma has it: nil where there is none.
func limit[T int | float64](n int64) *T {
	if n == math.MinInt64 || n == math.MaxInt64 {
		return nil
	}
	v := T(n)
	return &v
}

// description is the help of a field, and the variables with its default and maximum.
func description(f medispatcher.Field) string {
	switch {
	case f.Env != "" && f.MaxEnv != "":
		return f.Help + " Default " + f.Env + ", at most " + f.MaxEnv + "."
	case f.Env != "":
		return f.Help + " Default " + f.Env + "."
	}
	return f.Help
}
