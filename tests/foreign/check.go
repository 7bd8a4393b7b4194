// Checks a log of ours with Go's golang.org/x/mod/sumdb, which has nothing to do with our code: the
// signature, the root from the tiles, the records in the bundles, proofs for random records and sizes, made
// by Go from our tiles and by `tacho prove`, which must be the same and must both be accepted.
//
//	check -tacho BINARY -data DIRECTORY -tiles EXPORT -vkey KEY
//
// Written for Go 1.19 and x/mod 0.7, as Debian 12 has them. What differs from C2SP there: the paths of tiles
// (tile/8/L/N), and ParseTree, which knows one origin only; so both are done by hand.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	inclusions   = 250
	consistences = 60
)

func check(err error, what string, args ...interface{}) {
	if err != nil {
		log.Fatalf("%s: %v", fmt.Sprintf(what, args...), err)
	}
}

func must(ok bool, what string, args ...interface{}) {
	if !ok {
		log.Fatalf(what, args...)
	}
}

// Tiles of C2SP tlog-tiles in a directory.
type directory string

func (d directory) Height() int { return 8 }

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d directory) checkpoint(verifiers note.Verifiers) tlog.Tree {
	data, err := os.ReadFile(filepath.Join(string(d), "checkpoint"))
	check(err, "the checkpoint")
	return open(data, verifiers)
}

func open(data []byte, verifiers note.Verifiers) tlog.Tree {
	signed, err := note.Open(data, verifiers)
	check(err, "the note")
	lines := strings.Split(signed.Text, "\n")
	must(len(lines) == 4 && lines[3] == "", "the checkpoint is not three lines: %q", signed.Text)
	must(lines[0] == signed.Sigs[0].Name, "the origin is %q, the key's name %q", lines[0], signed.Sigs[0].Name)
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "the size")
	hash, err := tlog.ParseHash(lines[2])
	check(err, "the root")
	return tlog.Tree{N: size, Hash: hash}
}

// The records of the entry bundles, each compared with its hash in the tiles.
func (d directory) records(tree tlog.Tree, hashes tlog.HashReader) [][]byte {
	var records [][]byte
	for n := int64(0); n*256 < tree.N; n++ {
		tile := tlog.Tile{H: 8, L: -1, N: n, W: 256}
		if rest := tree.N - n*256; rest < 256 {
			tile.W = int(rest)
		}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		bundle, err := os.ReadFile(filepath.Join(string(d), path))
		check(err, "a bundle")
		for at := 0; at < tile.W; at++ {
			must(len(bundle) >= 2, "%s ends early", path)
			length := int(binary.BigEndian.Uint16(bundle))
			must(len(bundle) >= 2+length, "%s ends within a record", path)
			records, bundle = append(records, bundle[2:2+length]), bundle[2+length:]
		}
		must(len(bundle) == 0, "%s has more than its records", path)
	}
	var indexes []int64
	for n := range records {
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(n)))
	}
	leaves, err := hashes.ReadHashes(indexes)
	check(err, "the hashes of the records")
	for n, record := range records {
		must(tlog.RecordHash(record) == leaves[n], "record %d does not give its hash", n)
	}
	return records
}

// What `tacho prove` printed: the lines before the empty one, the checkpoint after it.
func prove(tacho, data string, args ...string) ([]string, []byte) {
	command := exec.Command(tacho, append([]string{"--dir", data, "prove"}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	check(err, "tacho prove %v", args)
	at := bytes.Index(out, []byte("\n\n"))
	must(at > 0, "tacho prove %v: no empty line", args)
	return strings.Split(string(out[:at]), "\n"), out[at+2:]
}

func parseHashes(lines []string) []tlog.Hash {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		check(err, "a hash")
		hashes = append(hashes, hash)
	}
	return hashes
}

func same(ours, theirs []tlog.Hash) bool {
	if len(ours) != len(theirs) {
		return false
	}
	for at := range ours {
		if ours[at] != theirs[at] {
			return false
		}
	}
	return true
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("check: ")
	tacho, data := flag.String("tacho", "", ""), flag.String("data", "", "")
	tiles, vkey := flag.String("tiles", "", ""), flag.String("vkey", "", "")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	check(err, "the key")
	verifiers := note.VerifierList(verifier)

	export, own := directory(*tiles), directory(filepath.Join(*data, "log"))
	tree := export.checkpoint(verifiers)
	must(own.checkpoint(verifiers) == tree, "the export has another checkpoint than the log")
	for _, dir := range []directory{export, own} {
		root, err := tlog.TreeHash(tree.N, tlog.TileHashReader(tree, dir))
		check(err, "the root from the tiles")
		must(root == tree.Hash, "the tiles give another root")
	}
	hashes := tlog.TileHashReader(tree, export)
	records := export.records(tree, hashes)

	random := rand.New(rand.NewSource(tree.N))
	for ran := 0; ran < inclusions; ran++ {
		n := random.Int63n(tree.N)
		theirs, err := tlog.ProveRecord(tree.N, n, hashes)
		check(err, "Go's proof of record %d", n)
		check(tlog.CheckRecord(theirs, tree.N, tree.Hash, n, tlog.RecordHash(records[n])), "record %d", n)
		lines, signed := prove(*tacho, *data, fmt.Sprint(n))
		must(len(lines) > 2 && lines[0] == "c2sp.org/tlog-proof@v1", "no proof: %q", lines)
		extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
		check(err, "the record in the proof")
		must(bytes.Equal(extra, records[n]), "the proof of record %d brings another one", n)
		must(lines[2] == fmt.Sprintf("index %d", n), "the proof of record %d has %q", n, lines[2])
		ours := parseHashes(lines[3:])
		must(same(ours, theirs), "our proof of record %d is not Go's", n)
		check(tlog.CheckRecord(ours, tree.N, tree.Hash, n, tlog.RecordHash(extra)), "our proof of %d", n)
		must(open(signed, verifiers) == tree, "the proof of record %d has another checkpoint", n)
	}
	for ran := 0; ran < consistences; ran++ {
		old := 1 + random.Int63n(tree.N)
		root, err := tlog.TreeHash(old, hashes)
		check(err, "the root of %d records", old)
		theirs, err := tlog.ProveTree(tree.N, old, hashes)
		check(err, "Go's proof from %d", old)
		check(tlog.CheckTree(theirs, tree.N, tree.Hash, old, root), "from %d", old)
		lines, signed := prove(*tacho, *data, "--from", fmt.Sprint(old))
		must(lines[0] == fmt.Sprintf("old %d", old), "the proof from %d has %q", old, lines[0])
		ours := parseHashes(lines[1:])
		must(same(ours, theirs), "our proof from %d is not Go's", old)
		check(tlog.CheckTree(ours, tree.N, tree.Hash, old, root), "our proof from %d", old)
		must(open(signed, verifiers) == tree, "the proof from %d has another checkpoint", old)
	}
	fmt.Printf("Go: signature, root, %d records, %d proofs of inclusion and %d of consistency: ok\n",
		len(records), inclusions, consistences)
}
