package medispatcher

import "testing"

func TestRefs(t *testing.T) {
	for ref, want := range map[string]Place{
		"channel/billing/0-5-1":    {State: Ready, Subscription: "billing", Entry: "5-1"},
		"dead/billing/12-5-1":      {State: Dead, Subscription: "billing", Partition: 12, Entry: "5-1"},
		"incoming/0-5-1":           {State: Incoming, Entry: "5-1"},
		"delayed/0-5-1":            {State: Delayed, Entry: "5-1"},
		"unrouted/1-5-1":           {State: Unrouted, Partition: 1, Entry: "5-1"},
		"quarantine/0-5-1":         {State: Quarantined, Entry: "5-1"},
		"waiting/s/3-Nzphfi_DvDpi": {State: Ready, Subscription: "s", Partition: 3, Entry: "7:a~/ü:b"},
	} {
		if got, err := ParseRef(ref); err != nil || got != want || got.Ref() != ref {
			t.Errorf("%s: got %+v, %v; want %+v", ref, got, err, want)
		}
	}
	if ref := (Place{State: Buried, Subscription: "s", Entry: "5-1"}).Ref(); ref != "channel/s/0-5-1" {
		t.Error(ref)
	}
	for _, ref := range []string{"", "dead", "dead/0-5-1", "dead/-/0-5-1", "dead/s/0-5", "dead/s/-1-5-1", "dead/s/0-5-1/x", "incoming/s/0-5-1", "ready/s/0-5-1", "nowhere/0-5-1", "dead/s/0-5-x", "waiting/s/0-", "waiting/s/0-5-1", "waiting/s/0-Nzo=", "waiting/0-NzphOg", "waiting/s/0-eDph", "waiting/s/0-Nw"} {
		if p, err := ParseRef(ref); err == nil {
			t.Errorf("%q is %+v", ref, p)
		}
	}
}
