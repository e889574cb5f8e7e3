package chaos

import (
	"net"
	"net/url"
	"sync"
	"time"
)

// Link is the way from one node to the database. Safe for concurrent use.
type Link struct {
	// DSN is how to connect through it.
	DSN string

	listener net.Listener

	mu     sync.Mutex
	target string
	delay  time.Duration
	cut    bool
	gate   chan struct{} // what is under way waits while it is not nil
	kill   bool          // what goes through it now never arrives
	conns  map[*session]bool
}

type session struct {
	client, server net.Conn
	dead           bool // swallows everything, even what comes later
}

// NewLink leads to the database of dsn, an unencrypted URL with a TCP address.
func NewLink(dsn string) (*Link, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	l := &Link{target: u.Host, conns: map[*session]bool{}}
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	u.Host = l.listener.Addr().String()
	l.DSN = u.String()
	go l.accept()
	return l, nil
}

// Move has new connections lead to the database of another DSN, as an address does
// that moves in a cluster. Those that there are stay: see [Link.Cut].
func (l *Link) Move(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = u.Host
	return nil
}

// Slow delays what is sent from now on, in each direction.
func (l *Link) Slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// Cut closes all connections, and new ones at once, until [Link.Mend].
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for s := range l.conns {
		_ = s.client.Close()
		_ = s.server.Close()
	}
}

// Hole swallows everything without a word until [Link.Mend]. Then it is
// delivered, as after packets were lost and sent again; or, with forGood, never,
// as when a firewall forgot the connections or the server's machine is gone.
func (l *Link) Hole(forGood bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate, l.kill = make(chan struct{}), forGood
	for s := range l.conns {
		s.dead = s.dead || forGood
	}
}

// Mend ends what Cut and Hole began.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.kill = false, false
	if l.gate != nil {
		close(l.gate)
		l.gate = nil
	}
}

// Close ends it.
func (l *Link) Close() {
	_ = l.listener.Close()
	l.Cut()
	l.Mend()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(client)
	}
}

func (l *Link) serve(client net.Conn) {
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	s := &session{client: client, server: server}
	l.mu.Lock()
	s.dead = l.kill
	if l.cut {
		l.mu.Unlock()
		_, _ = client.Close(), server.Close()
		return
	}
	l.conns[s] = true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.carry(s, client, server) })
	both.Go(func() { l.carry(s, server, client) })
	both.Wait()
	_, _ = client.Close(), server.Close()
	l.mu.Lock()
	delete(l.conns, s)
	l.mu.Unlock()
}

type parcel struct {
	data []byte
	at   time.Time
}

// carry takes what is sent in one direction.
func (l *Link) carry(s *session, from, to net.Conn) {
	parcels := make(chan parcel, 4096)
	go func() {
		defer close(parcels)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				l.mu.Lock()
				delay := l.delay
				l.mu.Unlock()
				parcels <- parcel{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.at))
		if l.pass(s) {
			_, _ = to.Write(p.data)
		}
	}
	// A farewell is swallowed, too; but the client's own frees what it held.
	if l.pass(s) || from == s.client {
		_ = to.Close()
	}
}

// pass waits while nothing gets through, and reports whether anything will.
func (l *Link) pass(s *session) bool {
	for {
		l.mu.Lock()
		dead, gate := s.dead, l.gate
		l.mu.Unlock()
		if dead || gate == nil {
			return !dead
		}
		<-gate
	}
}
