// Prints what Go's sort.Sort makes of items with equal keys: `go run main.go > vectors.txt`.
// "grown": appended one by one and sorted after each, as etcd keeps a role's permissions. "once": sorted as they stand.
package main

import (
	"fmt"
	"math/rand"
	"sort"
	"strings"
)

type item struct{ key, place int }
type items []item

func (s items) Len() int           { return len(s) }
func (s items) Less(i, j int) bool { return s[i].key < s[j].key }
func (s items) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

func words(numbers []int) string {
	return strings.Trim(fmt.Sprint(numbers), "[]")
}

func main() {
	random := rand.New(rand.NewSource(1))
	for n := 0; n < 240; n++ {
		length, kinds := 5+random.Intn(35+n), 1+random.Intn(20)
		how := []string{"grown", "once"}[n%2]
		var keys []int
		var s items
		for i := 0; i < length; i++ {
			key := random.Intn(kinds)
			switch n % 12 {
			case 3:
				key = i / 3
			case 5:
				key = (length - i) / 3
			case 7:
				key = i % kinds
			case 9:
				key = (i * i) % 17
			}
			keys = append(keys, key)
			s = append(s, item{key, i})
			if how == "grown" {
				sort.Sort(s)
			}
		}
		if how == "once" {
			sort.Sort(s)
		}
		var order []int
		for _, each := range s {
			order = append(order, each.place)
		}
		fmt.Println(how, words(keys), "=", words(order))
	}
}
