package medispatcher

// RecoverList is a list where producers park messages that they could not publish.
type RecoverList struct {
	Name   string // the whole key
	Type   string // "list"; "none" while it is empty; any other is left alone
	InHand bool   // it has items that were taken and are not settled
}

// RecoverItem is an item taken from a recover list.
type RecoverItem struct {
	Token string // unique, and the same each time the item is read
	Text  string // as the producer pushed it
}
