package medispatcher

// RecoverList is a list where producers park messages that they could not publish.
type RecoverList struct {
	Name   string // the whole key
	Type   string // "list"; "none" while nothing waits in it; another: it is not ours to read
	InHand bool   // items taken from it are not settled yet
}

// RecoverItem is an item taken from a recover list.
type RecoverItem struct {
	Token string // unique, and the same however often the item is seen
	Text  string // as the producer pushed it
}
