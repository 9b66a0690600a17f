// Command worker is the workers of one Go process: they ask a contestant for an
// access_token, call WeChat's API with it, and count what came of it. The bench beside
// it starts one per pod; worker.php is the same in PHP.
//
// Its variables say where things are, its arguments which contestant it is. It writes
// "ready", then obeys the lines of its stdin:
//
//	once   one worker asks once; answers with a [tally], as JSON
//	go     all workers ask, ten times a second each, until …
//	stop   … which is answered with a tally once every worker has stopped
//
// SDKs request https://api.weixin.qq.com through their own HTTP clients:
// http.DefaultTransport alone dials another address for that name. Its certificate
// is checked against SSL_CERT_FILE.
//
// It prints counts only, because an SDK's error quotes the URL with the AppSecret.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// period is the time between two requests of a worker.
const period = 100 * time.Millisecond

func main() {
	name := flag.String("contestant", "", "silenceper, chanxuehong, stable or wxsidecar")
	count := flag.Int("workers", 1, "how many")
	first := flag.Int("first", 0, "the number of the first of them among all workers")
	of := flag.Int("of", 1, "how many workers there are in all processes")
	flag.Parse()
	dialFake(os.Getenv("PEERS_WECHAT"))
	c, err := newContestant(*name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(2)
	}
	w := &workers{contestant: c, api: newAPI(*count)}
	for i := range *count {
		w.starts = append(w.starts, period*time.Duration(*first+i)/time.Duration(*of))
	}
	if err := w.obey(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// dialFake makes http.DefaultTransport reach WeChat at this address.
func dialFake(address string) {
	http.DefaultTransport.(*http.Transport).DialContext = func(ctx context.Context, network, asked string) (net.Conn, error) {
		if asked != "api.weixin.qq.com:443" {
			return nil, fmt.Errorf("%s: only WeChat's API can be dialled", asked)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// workers are those of this process.
type workers struct {
	contestant contestant
	api        *api
	starts     []time.Duration // of each, within the period
}

// obey reads commands to the end.
func (w *workers) obey(commands io.Reader, answers io.Writer) error {
	if _, err := io.WriteString(answers, "ready\n"); err != nil {
		return err
	}
	encoder := json.NewEncoder(answers)
	var sum tally
	var working sync.WaitGroup
	stop := make(chan struct{})
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		switch lines.Text() {
		case "once":
			var t tally
			w.serve(&t)
			if err := encoder.Encode(t); err != nil {
				return err
			}
		case "go":
			sum, stop = tally{}, make(chan struct{})
			var mu sync.Mutex // guards sum
			for _, start := range w.starts {
				working.Go(func() {
					mine := w.work(start, stop)
					mu.Lock()
					defer mu.Unlock()
					sum.add(mine)
				})
			}
		case "stop":
			close(stop)
			working.Wait()
			if err := encoder.Encode(sum); err != nil {
				return err
			}
		}
	}
	return nil
}

// work is one worker from go to stop.
func (w *workers) work(start time.Duration, stop chan struct{}) tally {
	var t tally
	next := time.NewTimer(start)
	defer next.Stop()
	for {
		select {
		case <-stop:
			return t
		case <-next.C:
		}
		w.serve(&t)
		next.Reset(period)
	}
}
