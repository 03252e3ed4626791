// Reads objects with kstatus, the library by which Flux and others tell whether an object is ready. Stdin: a list of objects;
// stdout: the status of each.
package main

import (
	"encoding/json"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatal(err)
	}
	found := make([]string, len(objects))
	for index, object := range objects {
		var read unstructured.Unstructured // which keeps whole numbers whole
		if err := read.UnmarshalJSON(object); err != nil {
			log.Fatal(err)
		}
		result, err := status.Compute(&read)
		if err != nil {
			log.Fatal(err)
		}
		found[index] = result.Status.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}
