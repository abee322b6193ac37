"""One run of the whole flow: send, count what is at each step, and reconcile what was sent with what arrived."""
