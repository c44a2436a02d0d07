package world

import "encoding/hex"

// dice is a state of chance. All of a world's come from its seed and the number
// of the thing that they are thrown for, never from the throw before: so
// things can be asked for in any order, or twice.
type dice uint64

// What dice are thrown about.
const (
	aboutSize = iota + 1
	aboutPartner
	aboutCustomer
	aboutSubscription
	aboutBefore // what happened in the month before
	aboutMonth  // and in the month that is measured
	aboutNew
	aboutID
	aboutPrice
)

func newDice(seed uint64) dice { return dice(mix(seed + 0x9e3779b97f4a7c15)) }

// of throws for the n-th thing of a kind.
func (d dice) of(about, n int) dice {
	return dice(mix(uint64(d) ^ mix(uint64(about)<<56^uint64(n))))
}

// again is another throw for the same thing.
func (d dice) again(n int) dice { return dice(mix(uint64(d) + uint64(n)*0x9e3779b97f4a7c15)) }

// roll is a number from 0 to n-1.
func (d dice) roll(n int) int { return int((uint64(d) >> 32) * uint64(n) >> 32) }

// low is a number from 0 to n-1, low ones far more often than high ones.
func (d dice) low(n int) int {
	u := uint64(d) >> 43 // 21 bits, whose cube fits
	return int((u * u * u >> 42) * uint64(n) >> 21)
}

// mix is the finalizer of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uuid is an id as a random one looks.
func (d dice) uuid() string {
	var b [16]byte
	put(b[:8], uint64(d.again(101)))
	put(b[8:], uint64(d.again(102)))
	return formatUUID(b)
}

// uuidFrom is the same with its first bits given, so that ids can be in order.
func (d dice) uuidFrom(head uint32) string {
	var b [16]byte
	put(b[:8], uint64(head)<<32|uint64(d.again(101))>>32)
	put(b[8:], uint64(d.again(102)))
	return formatUUID(b)
}

func put(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (56 - 8*i))
	}
}

func formatUUID(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	at := 0
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			text[at] = '-'
			at++
		}
		from := [...]int{0, 4, 6, 8, 10}[i]
		hex.Encode(text[at:], b[from:from+n])
		at += 2 * n
	}
	return string(text[:])
}

// letters is text of n letters and digits as Microsoft's ids have them.
func (d dice) letters(n int) string {
	const alphabet = "0123456789BCDFGHJKLMNPQRSTVWXZ"
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[d.again(200+i).roll(len(alphabet))]
	}
	return string(text)
}

// hex is text of n hexadecimal digits, sixteen at most.
func (d dice) hex(n int) string {
	var b [8]byte
	put(b[:], uint64(d.again(103)))
	return hex.EncodeToString(b[:])[:n]
}
