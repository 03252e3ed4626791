// Matches patterns against texts with the engine of the API server and of Helm. Stdin: {"patterns": [...], "texts": [...]};
// stdout: for each pattern the indices of the texts in which it is found.
package main

import (
	"encoding/json"
	"log"
	"os"
	"regexp"
)

func main() {
	var input struct{ Patterns, Texts []string }
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		log.Fatal(err)
	}
	found := make([][]int, len(input.Patterns))
	for index, pattern := range input.Patterns {
		engine, err := regexp.Compile(pattern)
		if err != nil {
			log.Fatal(err)
		}
		found[index] = []int{}
		for at, text := range input.Texts {
			if engine.MatchString(text) {
				found[index] = append(found[index], at)
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}
