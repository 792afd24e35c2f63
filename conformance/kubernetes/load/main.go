// kubeload: a stdlib-only load generator for kube-apiserver (client certificate, HTTP/2).
// Phases run in the order given by -phases and print one line each:
//
//	create | update | get | list-consistent | list-rv0 | list-paged | delete | deletecollection
//
// With -watchers N, N watches on the namespace are open during all phases; the delivery time of an event is
// (time it was read by the watcher) - (time the write was SENT), so it includes the write itself.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	server   = flag.String("server", "https://127.0.0.1:23743", "apiserver URL")
	ca       = flag.String("ca", "", "CA file")
	cert     = flag.String("cert", "", "client certificate")
	key      = flag.String("key", "", "client key")
	ns       = flag.String("ns", "load", "namespace")
	kind     = flag.String("kind", "configmaps", "configmaps or secrets")
	n        = flag.Int("n", 5000, "objects")
	size     = flag.Int("size", 1024, "payload bytes")
	clients  = flag.Int("clients", 32, "parallel clients")
	conns    = flag.Int("conns", 8, "TCP connections")
	watchers = flag.Int("watchers", 0, "watches open during the run")
	reps     = flag.Int("reps", 5, "repetitions of a list phase")
	page     = flag.Int("page", 500, "page size of list-paged")
	phases   = flag.String("phases", "create,get,update,list-consistent,list-rv0,list-paged,delete", "")
	acked    = flag.String("acked", "", "file for the names whose create was acknowledged")
	jsonOut  = flag.Bool("json", false, "one JSON object per phase")
)

var pool []*http.Client

func hc(i int) *http.Client { return pool[i%len(pool)] }

func die(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...); os.Exit(1) }

func do(i int, method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, *server+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := hc(i).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func pct(d []time.Duration, p float64) float64 {
	if len(d) == 0 {
		return 0
	}
	i := int(p * float64(len(d)))
	if i >= len(d) {
		i = len(d) - 1
	}
	return float64(d[i].Microseconds()) / 1000
}

func report(phase string, wall time.Duration, lat []time.Duration, errs int64, extra string) {
	sort.Slice(lat, func(i, j int) bool { return lat[i] < lat[j] })
	if *jsonOut {
		b, _ := json.Marshal(map[string]any{"phase": phase, "n": len(lat), "errors": errs, "wall_s": wall.Seconds(),
			"per_s": float64(len(lat)) / wall.Seconds(), "p50_ms": pct(lat, .5), "p90_ms": pct(lat, .9), "p99_ms": pct(lat, .99),
			"max_ms": pct(lat, 1), "note": extra})
		fmt.Println(string(b))
		return
	}
	fmt.Printf("%-16s n=%-6d err=%-3d wall=%7.2fs %8.1f/s  p50=%7.2fms p90=%7.2fms p99=%7.2fms max=%7.2fms %s\n",
		phase, len(lat), errs, wall.Seconds(), float64(len(lat))/wall.Seconds(), pct(lat, .5), pct(lat, .9), pct(lat, .99), pct(lat, 1), extra)
}

func parallel(phase string, f func(client, i int) error) {
	var next, errs atomic.Int64
	lats := make([][]time.Duration, *clients)
	var wg sync.WaitGroup
	t0 := time.Now()
	for c := 0; c < *clients; c++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= *n {
					return
				}
				s := time.Now()
				if err := f(c, i); err != nil {
					if errs.Add(1) <= 3 {
						fmt.Fprintln(os.Stderr, phase, i, err)
					}
					continue
				}
				lats[c] = append(lats[c], time.Since(s))
			}
		}()
	}
	wg.Wait()
	wall := time.Since(t0)
	var all []time.Duration
	for _, l := range lats {
		all = append(all, l...)
	}
	report(phase, wall, all, errs.Load(), "")
}

func base() string      { return "/api/v1/namespaces/" + *ns + "/" + *kind }
func name(i int) string { return fmt.Sprintf("obj-%06d", i) }

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

func object(i int, t string) []byte {
	b := make([]byte, *size)
	r := rand.New(rand.NewSource(int64(i)))
	for j := range b {
		b[j] = letters[r.Intn(len(letters))]
	}
	k, field := "ConfigMap", "data"
	if *kind == "secrets" {
		k, field = "Secret", "stringData"
	}
	o, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": k,
		"metadata": map[string]any{"name": name(i), "annotations": map[string]string{"t": t}},
		field:      map[string]string{"p": string(b)}})
	return o
}

func ok(code int, b []byte, err error) error {
	if err != nil {
		return err
	}
	if code/100 != 2 {
		return fmt.Errorf("%d %.200s", code, b)
	}
	return nil
}

type meta struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
		Annotations     map[string]string
	} `json:"metadata"`
}

// ---- watch

type watchStat struct {
	mu      sync.Mutex
	lat     []time.Duration
	events  map[string]int
	last    int64
	ordered bool
	reopens int
}

// runWatch follows the namespace like a reflector without relisting: when the apiserver closes the watch (it closes
// slow watchers), it re-opens it from the last resourceVersion, so every event must still arrive exactly once.
func runWatch(c *http.Client, st *watchStat, rv string, ready *sync.WaitGroup) {
	for first := true; ; first = false {
		req, _ := http.NewRequest("GET", *server+base()+"?watch=1&allowWatchBookmarks=true&resourceVersion="+rv, nil)
		resp, err := c.Do(req)
		if err != nil || resp.StatusCode != 200 {
			if first {
				die("watch: %v %v", err, resp)
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if first {
			ready.Done()
		} else {
			st.mu.Lock()
			st.reopens++
			st.mu.Unlock()
		}
		rd := bufio.NewReaderSize(resp.Body, 1<<20)
		for {
			line, err := rd.ReadBytes('\n')
			if err != nil {
				break
			}
			now := time.Now()
			var ev struct {
				Type   string
				Object meta
			}
			if json.Unmarshal(line, &ev) != nil {
				continue
			}
			st.mu.Lock()
			st.events[ev.Type]++
			if ev.Type != "ERROR" {
				v, _ := strconv.ParseInt(ev.Object.Metadata.ResourceVersion, 10, 64)
				if v < st.last {
					st.ordered = false
				}
				st.last = v
				rv = ev.Object.Metadata.ResourceVersion
			}
			if ev.Type == "ADDED" || ev.Type == "MODIFIED" {
				if ns, err := strconv.ParseInt(ev.Object.Metadata.Annotations["t"], 10, 64); err == nil {
					st.lat = append(st.lat, now.Sub(time.Unix(0, ns)))
				}
			}
			st.mu.Unlock()
		}
		resp.Body.Close()
	}
}

func main() {
	flag.Parse()
	caPEM, err := os.ReadFile(*ca)
	if err != nil {
		die("%v", err)
	}
	cp := x509.NewCertPool()
	cp.AppendCertsFromPEM(caPEM)
	kp, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		die("%v", err)
	}
	newClient := func() *http.Client {
		return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: cp, Certificates: []tls.Certificate{kp}}}}
	}
	for i := 0; i < *conns; i++ {
		pool = append(pool, newClient())
	}
	code, b, err := do(0, "POST", "/api/v1/namespaces", []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+*ns+`"}}`))
	if err != nil || (code != 201 && code != 409) {
		die("namespace: %d %s %v", code, b, err)
	}
	// rv to watch from
	_, b, err = do(0, "GET", base()+"?limit=1", nil)
	if err != nil {
		die("%v", err)
	}
	var m meta
	json.Unmarshal(b, &m)
	stats := make([]*watchStat, *watchers)
	var ready sync.WaitGroup
	for i := range stats {
		stats[i] = &watchStat{events: map[string]int{}, ordered: true}
		ready.Add(1)
		go runWatch(newClient(), stats[i], m.Metadata.ResourceVersion, &ready)
	}
	ready.Wait()
	want := map[string]int{}
	for _, ph := range strings.Split(*phases, ",") {
		now := func() string { return strconv.FormatInt(time.Now().UnixNano(), 10) }
		switch ph {
		case "create":
			var mu sync.Mutex
			var names []string
			parallel(ph, func(c, i int) error {
				err := ok(do(c, "POST", base(), object(i, now())))
				if err == nil {
					mu.Lock()
					names = append(names, name(i))
					mu.Unlock()
				}
				return err
			})
			if *acked != "" {
				os.WriteFile(*acked, []byte(strings.Join(names, "\n")+"\n"), 0o600)
			}
			want["ADDED"] += len(names)
		case "update":
			parallel(ph, func(c, i int) error { return ok(do(c, "PUT", base()+"/"+name(i), object(i, now()))) })
			want["MODIFIED"] += *n
		case "get":
			parallel(ph, func(c, i int) error { return ok(do(c, "GET", base()+"/"+name(i), nil)) })
		case "delete":
			parallel(ph, func(c, i int) error { return ok(do(c, "DELETE", base()+"/"+name(i), nil)) })
			want["DELETED"] += *n
		case "deletecollection":
			s := time.Now()
			if err := ok(do(0, "DELETE", base(), nil)); err != nil {
				die("%v", err)
			}
			report(ph, time.Since(s), []time.Duration{time.Since(s)}, 0, "")
			want["DELETED"] += *n
		case "list-consistent", "list-rv0", "list-paged":
			var lat []time.Duration
			bytesN, items := 0, 0
			t0 := time.Now()
			for r := 0; r < *reps; r++ {
				s := time.Now()
				items = 0
				q := url.Values{}
				if ph == "list-rv0" {
					q.Set("resourceVersion", "0")
				}
				if ph == "list-paged" {
					q.Set("limit", strconv.Itoa(*page))
				}
				for {
					code, b, err := do(r, "GET", base()+"?"+q.Encode(), nil)
					if err := ok(code, b, err); err != nil {
						die("%s: %v", ph, err)
					}
					bytesN += len(b)
					items += bytes.Count(b, []byte(`"uid":`))
					var l meta
					// the list metadata comes first in the apiserver's JSON
					json.NewDecoder(bytes.NewReader(b)).Decode(&l)
					if l.Metadata.Continue == "" {
						break
					}
					q.Set("continue", l.Metadata.Continue)
				}
				lat = append(lat, time.Since(s))
			}
			report(ph, time.Since(t0), lat, 0, fmt.Sprintf("items=%d bytes/list=%d", items, bytesN / *reps))
		default:
			die("unknown phase %s", ph)
		}
	}
	if *watchers > 0 {
		deadline := time.Now().Add(60 * time.Second)
		for i, st := range stats {
			for time.Now().Before(deadline) {
				st.mu.Lock()
				done := true
				for k, v := range want {
					if st.events[k] < v {
						done = false
					}
				}
				st.mu.Unlock()
				if done {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			st.mu.Lock()
			for k, v := range want {
				if st.events[k] != v {
					fmt.Printf("WATCH %d LOST OR EXTRA: %s want %d got %d\n", i, k, v, st.events[k])
				}
			}
			st.mu.Unlock()
		}
		var all []time.Duration
		ev := map[string]int{}
		ordered, reopens := true, 0
		for _, st := range stats {
			st.mu.Lock()
			reopens += st.reopens
			st.mu.Unlock()
			all = append(all, st.lat...)
			for k, v := range st.events {
				ev[k] += v
			}
			ordered = ordered && st.ordered
		}
		report("watch-delivery", time.Second, all, 0, fmt.Sprintf("watchers=%d events=%v ordered=%v reopened=%d", *watchers, ev, ordered, reopens))
	}
}
