package zstdids

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpacked is what a page is by other means.
func unpacked(literals []byte, repeats []Repeat) (page []byte) {
	for _, r := range repeats {
		page = append(page, literals[:r.Literals]...)
		literals = literals[r.Literals:]
		for range r.Times {
			page = append(page, page[len(page)-r.Size:]...)
		}
	}
	return append(page, literals...)
}

// requirePage packs a page and has another decoder unpack it.
func requirePage(t testing.TB, e *Encoder, literals []byte, repeats []Repeat) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	packed, size := e.Append(nil, literals, slices.Clone(repeats))
	want := unpacked(literals, repeats)
	got, err := d.DecodeAll(packed, nil)
	if err != nil {
		t.Fatalf("%d literals, repeats %v: %v", len(literals), repeats, err)
	}
	if !bytes.Equal(got, want) || size != len(want) {
		t.Fatalf("%d literals, repeats %v: %d bytes came back, %d said, want %d", len(literals), repeats, len(got), size, len(want))
	}
	again, _ := new(Encoder).Append(nil, literals, slices.Clone(repeats))
	if !bytes.Equal(packed, again) {
		t.Fatal("the same page gave other bytes")
	}
	return packed
}

func uuids(random *rand.Rand, n int) (page []byte) {
	for range n {
		page = fmt.Appendf(page, "\x24\x00\x00\x00%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64()>>16)
	}
	return page
}

func TestPages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	ids := uuids(random, 20_000)
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	one := func(literals, size, times int) []Repeat { return []Repeat{{literals, size, times}} }
	for name, p := range map[string]struct {
		literals []byte
		repeats  []Repeat
	}{
		"nothing":                      {},
		"one byte":                     {[]byte("a"), nil},
		"one id":                       {ids[:40], nil},
		"many ids":                     {ids, nil},
		"a block to the byte":          {ids[:maxBlock], nil},
		"a block and a byte":           {ids[:maxBlock+1], nil},
		"noise":                        {noise, nil},
		"one letter":                   {bytes.Repeat([]byte("a"), 200_000), nil},
		"one id, repeated":             {ids[:40], one(40, 40, 1)},
		"repeated over several blocks": {ids[:40], one(40, 40, 20_000)},
		"a blank, repeated":            {[]byte{0, 0, 0, 0}, one(4, 4, 32_767)},
		"repeated at the end":          {ids, one(len(ids), 40, 3)},
		"repeated where a block ends":  {ids, one(maxBlock, 40, 3)},
		"repeated before it":           {ids, one(maxBlock-20, 40, 1)},
		"the largest":                  {noise, one(maxRepeat+7, maxRepeat, 9)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requirePage(t, new(Encoder), p.literals, p.repeats)
		})
	}
}

// Any lengths, so that every code comes.
func TestRandomPages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 2))
	e := new(Encoder)
	ids := uuids(random, 10_000)
	for range 300 {
		literals := ids[:random.IntN(len(ids)>>random.IntN(12))]
		var repeats []Repeat
		for at := 0; ; {
			gap := random.IntN(1 << random.IntN(17))
			if at += gap; at == 0 || at > len(literals) {
				break
			}
			repeats = append(repeats, Repeat{gap, 1 + random.IntN(min(at, maxRepeat>>random.IntN(15))), 1 + random.IntN(1<<random.IntN(9))})
			if repeats[len(repeats)-1].Size < 4 {
				repeats[len(repeats)-1].Times += 3
			}
		}
		requirePage(t, e, literals, repeats)
	}
}

// A page of ids is as small as a general compressor makes it, to a tenth.
func TestSizeOfPages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 3))
	ids := uuids(random, 30_000)
	var repeats []Repeat
	for range 30_000 / 4 {
		repeats = append(repeats, Repeat{160, 40, 1})
	}
	general, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer general.Close()
	for name, repeats := range map[string][]Repeat{"none twice": nil, "one in four twice": repeats} {
		got, want := len(requirePage(t, new(Encoder), ids, repeats)), len(general.EncodeAll(unpacked(ids, repeats), nil))
		if got > want*11/10 {
			t.Errorf("%s: %d bytes, want about %d", name, got, want)
		}
	}
}

func FuzzPages(f *testing.F) {
	f.Add([]byte("abcdefgh"), uint16(5), uint16(2), uint16(3), uint16(2), uint16(1), uint16(9))
	f.Fuzz(func(t *testing.T, literals []byte, l1, s1, t1, l2, s2, t2 uint16) {
		var repeats []Repeat
		at, size := 0, 0
		for _, r := range []Repeat{{int(l1), int(s1), int(t1)}, {int(l2), int(s2), int(t2)}} {
			at += r.Literals
			size += r.Literals
			if at > len(literals) || r.Size*r.Times < 3 || r.Size > size || !Fits(r.Size) || r.Size*r.Times > 1<<22 {
				t.Skip("no page")
			}
			size += r.Size * r.Times
			repeats = append(repeats, r)
		}
		requirePage(t, new(Encoder), literals, repeats)
	})
}

func BenchmarkPages(b *testing.B) {
	const n = 30_000
	ids := uuids(rand.New(rand.NewPCG(1, 1)), n)
	repeats := make([]Repeat, 0, n/4)
	e := new(Encoder)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		repeats = repeats[:0]
		for range cap(repeats) {
			repeats = append(repeats, Repeat{160, 40, 1})
		}
		dst, _ = e.Append(dst[:0], ids, repeats)
	}
	b.ReportMetric(float64(b.N*(n+n/4))/b.Elapsed().Seconds(), "ids/s")
}

// No block is longer than the window says that one may be, however few bytes do not pack.
func TestBlocksFitTheWindow(t *testing.T) {
	t.Parallel()
	var e Encoder
	for n := range 3000 {
		literals := make([]byte, n)
		for i := range literals {
			literals[i] = byte(i*i>>3 ^ i*97)
		}
		frame, size := e.Append(nil, literals, nil)
		if size != n || frame[4]&0x20 != 0 {
			t.Fatalf("%d bytes: size %d, descriptor %#x", n, size, frame[4])
		}
		limit := min(1<<(10+frame[5]>>3), 128<<10)
		for rest := frame[10:]; len(rest) > 0; {
			header := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
			if header>>3 > limit {
				t.Fatalf("%d bytes: a block of %d, the window is %d", n, header>>3, limit)
			}
			rest = rest[3+header>>3:]
		}
	}
}
