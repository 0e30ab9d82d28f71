// Package daemon is one running dispatcher: medispatcher serve, dev, and what bench starts. Daemon opens
// what the duties share and runs them. Each duty is a small type in a file named by its role, and names the
// few things it needs: heartbeat, healer, follower, pauser, recorder and so on. fanout_events.go and
// push_events.go say which duties get which event of a message.
//
// It may import everything but the commands, which map flags, environment and signals onto it. This is the place where
// streams, push, recover, alert and amender meet.
package daemon
