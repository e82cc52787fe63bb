package jupyter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// usage remembers what the processes had used when it was last asked for.
type usage struct {
	mu    sync.Mutex
	at    time.Time
	ticks map[int]int // of each process
	host  [2]int      // busy, all
}

// clockTick is the unit of times under /proc (USER_HZ, which is 100 on all that Go supports).
const clockTick = 10 * time.Millisecond

// usageRequest says what the kernel, its program and what they have started cost, under the names that ipykernel uses.
func (k *kernel) usageRequest(_ context.Context, r *request) {
	host, _ := os.Hostname()
	answer := map[string]any{"hostname": host, "pid": os.Getpid(), "cpu_count": runtime.NumCPU()}
	processes := tree(os.Getpid())
	memory := 0
	ticks := map[int]int{}
	for pid, t := range processes {
		memory += resident(pid)
		ticks[pid] = t
	}
	u := &k.usage
	u.mu.Lock()
	now := time.Now()
	used := 0
	for pid, t := range ticks {
		used += t - u.ticks[pid]
	}
	cpu := 0.0
	if elapsed := now.Sub(u.at); !u.at.IsZero() && elapsed > 0 {
		cpu = 100 * float64(time.Duration(used)*clockTick) / float64(elapsed)
	}
	busy, all := hostTicks()
	if d := all - u.host[1]; u.host[1] > 0 && d > 0 {
		answer["host_cpu_percent"] = 100 * float64(busy-u.host[0]) / float64(d)
	}
	u.at, u.ticks, u.host = now, ticks, [2]int{busy, all}
	u.mu.Unlock()
	answer["kernel_cpu"], answer["kernel_memory"] = cpu, memory
	if m := hostMemory(); m != nil {
		answer["host_virtual_memory"] = m
	}
	k.reply(r, answer)
}

// tree returns a process and all below it, with their processor time in ticks.
func tree(root int) map[int]int {
	out := map[int]int{}
	todo := []int{root}
	for len(todo) > 0 {
		pid := todo[0]
		todo = todo[1:]
		if _, seen := out[pid]; seen {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has just ended
		}
		// The name, in parentheses, may hold anything; the fields behind it are numbers.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 12 {
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			out[pid] = user + system
		}
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for _, f := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(f); err == nil {
					todo = append(todo, child)
				}
			}
		}
	}
	return out
}

// resident returns the memory of a process in bytes: its share of what is shared, where the system says it.
func resident(pid int) int {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		if n, ok := kilobytes(string(text), "Pss:"); ok {
			return n
		}
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	n, _ := kilobytes(string(text), "VmRSS:")
	return n
}

// kilobytes finds a line like "Pss:  123 kB" and returns its value in bytes.
func kilobytes(text, name string) (int, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			n, err := strconv.Atoi(f[1])
			return n * 1024, err == nil
		}
	}
	return 0, false
}

// hostTicks returns the processor time of the whole machine: spent, and all there was.
func hostTicks() (busy, all int) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	for i, f := range fields {
		if n, err := strconv.Atoi(f); err == nil && i >= 1 && i <= 8 { // guests are counted in user time
			all += n
			if i != 4 && i != 5 { // idle, waiting for disks
				busy += n
			}
		}
	}
	return busy, all
}

func hostMemory() map[string]any {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil
	}
	out := map[string]any{}
	for name, field := range map[string]string{
		"total": "MemTotal:", "available": "MemAvailable:", "free": "MemFree:", "buffers": "Buffers:", "cached": "Cached:",
		"active": "Active:", "inactive": "Inactive:", "shared": "Shmem:", "slab": "Slab:",
	} {
		if n, ok := kilobytes(string(text), field); ok {
			out[name] = n
		}
	}
	total, ok := out["total"].(int)
	available, ok2 := out["available"].(int)
	if ok && ok2 && total > 0 {
		out["used"] = total - available
		out["percent"] = 100 * float64(total-available) / float64(total)
	}
	return out
}
