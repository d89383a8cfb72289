// linearizable FILE… : could one machine that does one thing at a time have given these answers?
//
// A file is what clients saw of the VMs' names, a line of JSON an operation (`operation` below).
// The judge is porcupine; ours is only the model of one name. Prints a line a file; exit status 1
// if a history is refused, 2 if one cannot be read or was not judged in time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// How long one history may be judged; those of the tests take less than a second.
const patience = 2 * time.Minute

// Kept of one line: a VM's answer is some hundred bytes, an operation less.
const lineSizeMax = 1 << 16

// An operation as its client saw it. Times are of one monotonic clock, in nanoseconds.
type operation struct {
	Client int    `json:"client"`
	Name   string `json:"name"`
	Do     string `json:"do"`   // create, delete, read
	Said   string `json:"said"` // see `next`; unknown: there was no answer
	Id     string `json:"id"`   // of the VM: of a create that was done, of a read that found one
	Call   int64  `json:"call"`
	Return int64  `json:"return"` // of no meaning when the answer is unknown
}

type situation int

const (
	absent situation = iota
	present
	leaving // its deletion was asked for; it goes, and its name is free, when its guest is gone
)

// What a name stands for. The id is empty while nobody was told it: an unanswered create.
type state struct {
	is situation
	id string
}

// Whether a read that found `id` may have found this one; and this one, now that its id is known.
func (one state) seen(id string) (state, bool) {
	return state{one.is, id}, one.id == "" || one.id == id
}

// What a name may stand for after an operation with that answer; nothing: it cannot be.
func step(before, input, output interface{}) []interface{} {
	now, did, said := before.(state), input.(operation), output.(string)
	after := next(now, did, said)
	if now.is == leaving { // its guest may have gone at any moment before
		after = append(after, next(state{}, did, said)...)
	}
	return after
}

func next(now state, did operation, said string) []interface{} {
	switch did.Do + " " + said {
	case "create done":
		if now.is == absent {
			return []interface{}{state{present, did.Id}}
		}
	case "create unknown":
		if now.is == absent {
			return []interface{}{now, state{present, ""}}
		}
		return []interface{}{now}
	case "create taken":
		if now.is != absent {
			return []interface{}{now}
		}
	case "delete done":
		if now.is == present {
			return []interface{}{state{leaving, now.id}}
		}
	case "delete unknown":
		if now.is == present {
			return []interface{}{now, state{leaving, now.id}}
		}
		return []interface{}{now}
	case "delete busy":
		if now.is == leaving {
			return []interface{}{now}
		}
	case "delete absent", "read absent":
		if now.is == absent {
			return []interface{}{now}
		}
	case "read present", "read leaving":
		after, may := now.seen(did.Id)
		if may && (now.is == present) == (said == "present") && now.is != absent {
			return []interface{}{after}
		}
	}
	return nil
}

// Names are independent of each other, so each is judged alone.
func byName(history []porcupine.Operation) [][]porcupine.Operation {
	names := map[string][]porcupine.Operation{}
	for _, one := range history {
		name := one.Input.(operation).Name
		names[name] = append(names[name], one)
	}
	var parts [][]porcupine.Operation
	for _, part := range names {
		parts = append(parts, part)
	}
	return parts
}

var answers = map[string]bool{
	"create done": true, "create taken": true, "create unknown": true,
	"delete done": true, "delete busy": true, "delete absent": true, "delete unknown": true,
	"read present": true, "read leaving": true, "read absent": true,
}

func load(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var history []porcupine.Operation
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, lineSizeMax)
	for number := 1; lines.Scan(); number++ {
		var one operation
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if !answers[one.Do+" "+one.Said] {
			return nil, fmt.Errorf("line %d: '%s %s' is no answer", number, one.Do, one.Said)
		}
		ended := one.Return
		if one.Said == "unknown" {
			ended = math.MaxInt64 // it may still happen
		}
		history = append(history, porcupine.Operation{ClientId: one.Client, Input: one,
			Output: one.Said, Call: one.Call, Return: ended})
	}
	return history, lines.Err()
}

func judge(path string) int {
	history, err := load(path)
	if err == nil && len(history) == 0 {
		err = fmt.Errorf("it is empty")
	}
	if err != nil {
		fmt.Printf("%s: %v\n", path, err)
		return 2
	}
	names := porcupine.NondeterministicModel{
		Partition: byName,
		Init:      func() []interface{} { return []interface{}{state{}} },
		Step:      step,
	}
	parts := byName(history)
	verdict := porcupine.CheckOperationsTimeout(names.ToModel(), history, patience)
	fmt.Printf("%s: %d operations on %d names: ", path, len(history), len(parts))
	switch verdict {
	case porcupine.Ok:
		fmt.Println("linearizable")
		return 0
	case porcupine.Unknown:
		fmt.Printf("not judged within %s\n", patience)
		return 2
	}
	fmt.Println("NOT linearizable")
	for _, part := range parts {
		if !porcupine.CheckOperations(names.ToModel(), part) {
			fmt.Printf("  by the answers on %s\n", part[0].Input.(operation).Name)
		}
	}
	return 1
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: linearizable FILE…")
		os.Exit(2)
	}
	worst := 0
	for _, path := range os.Args[1:] {
		if status := judge(path); status > worst {
			worst = status
		}
	}
	os.Exit(worst)
}
