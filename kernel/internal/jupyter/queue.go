package jupyter

import (
	"context"
	"sync"
)

// queue holds the requests of one shell, which are answered one after the other.
type queue struct {
	mu      sync.Mutex
	waiting []*request // guarded by mu
	wake    chan struct{}
	closed  chan struct{}
	once    sync.Once
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1), closed: make(chan struct{})} }

func (q *queue) push(r *request) {
	q.mu.Lock()
	q.waiting = append(q.waiting, r)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) pop() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	r := q.waiting[0]
	q.waiting = q.waiting[1:]
	return r
}

// take removes what waits and is wanted.
func (q *queue) take(wanted func(*request) bool) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	var kept, taken []*request
	for _, r := range q.waiting {
		if wanted(r) {
			taken = append(taken, r)
		} else {
			kept = append(kept, r)
		}
	}
	q.waiting = kept
	return taken
}

// close lets run end once what waits was answered.
func (q *queue) close() { q.once.Do(func() { close(q.closed) }) }

func (q *queue) run(ctx context.Context, handle func(context.Context, *request)) {
	for ctx.Err() == nil {
		if r := q.pop(); r != nil {
			handle(ctx, r)
			continue
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-q.closed:
			if r := q.pop(); r != nil {
				handle(ctx, r)
				continue
			}
			return
		}
	}
}
