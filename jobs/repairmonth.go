package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// revisions mends the files of revisions, earlier months first: later ones are
// computed from them.
func (r *repairing) revisions(ctx context.Context) error {
	for i := range r.v.revisions {
		rev := &r.v.revisions[i]
		if err := r.revision(ctx, rev); err != nil {
			return err
		}
	}
	return nil
}

// revision puts the damaged files of one revision back: from copies, else made
// again. A draft that cannot be made again gives way to the next one.
func (r *repairing) revision(ctx context.Context, rev *revision) error {
	var wanted []*claim
	for _, c := range r.v.claims {
		if _, damaged := r.damaged[c.key]; !damaged || c.revision == nil || c.revision.key != rev.key || len(c.inputs) > 0 {
			continue
		}
		data, from, err := r.offer.content(c.sha256)
		if err != nil {
			return err
		}
		if data == nil && ledger.KindOfKey(c.key) == ledger.ApprovalKey {
			r.leave(c.key, r.damaged[c.key], "it is a person's word", "calends repair --from DIR with a backup; the manifest of the close says who approved, and when")
			continue
		}
		if data == nil {
			wanted = append(wanted, c)
			continue
		}
		if err := r.planPutBack(ctx, c.key, r.damaged[c.key], "copied from "+from, data); err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	made, failed := r.makeAgain(ctx, rev)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var lost []*claim
	for _, c := range wanted {
		data := made[c.key]
		if hashOf(data) != c.sha256 {
			lost = append(lost, c)
			continue
		}
		how := fmt.Sprintf("computed again from inputs 1 to %d, the same bytes", len(rev.manifest.Inputs))
		if err := r.planPutBack(ctx, c.key, r.damaged[c.key], how, data); err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	if failed == nil {
		failed = fmt.Errorf("version %s wrote it, and this one, %s, writes other bytes", rev.manifest.Software, r.env.Version)
	}
	if rev.manifest.State == ledger.Closed {
		for _, c := range lost {
			r.leave(c.key, r.damaged[c.key], failed.Error(), fmt.Sprintf("calends repair --from DIR with an export of the month or a backup, or with version %s; the file's sha256 is %s",
				rev.manifest.Software, c.sha256))
		}
		return nil
	}
	return r.replaceDraft(ctx, rev, failed)
}

// makeAgain computes the revision from what it knew, and writes it on a patch of
// its own. The files are there by key; the error says why they are not.
func (r *repairing) makeAgain(ctx context.Context, rev *revision) (made map[string][]byte, err error) {
	at, err := r.mended.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	m := rev.manifest
	known := ledger.Month{Month: rev.month, Current: m}
	past, err := at.before(known)
	if err != nil {
		return nil, err
	}
	scratch := r.mended
	over := newPatch(r.patch, ledger.RevisionFolder(rev.key))
	scratch.Bucket, scratch.Version = over, m.Software
	scratch.Policies = ledger.Close{Policies: m.Policies}.PolicyOf(r.env.Policies)
	c, err := scratch.compute(ctx, past, rev.month, m.State == ledger.Closed)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	sum, err := c.sum(ctx, scratch.Workers)
	if err != nil {
		return nil, err
	}
	if sum != m.Fingerprint {
		return nil, errors.New("the month comes out otherwise today, so its files cannot be made again")
	}
	before := known
	before.Current.Revision--
	// This one is the next, and the workbook compares it with the month before.
	past.months = slices.DeleteFunc(slices.Clone(past.months), func(m ledger.Month) bool { return m.Month >= rev.month })
	past.months = append(past.months, before)
	err = scratch.locked(ctx, "make again", func(ctx context.Context, scratch Env) error {
		_, err := scratch.publish(ctx, past, c, m.State, consent{m.Accepted, m.Approval})
		return err
	})
	if err != nil {
		return nil, err
	}
	made = make(map[string][]byte)
	for info, err := range over.over.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if made[info.Key], err = over.made(ctx, info.Key); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// replaceDraft gives a draft up: the month is billed again if it is the current
// one, and its manifest is moved aside, so that it does not count any more.
func (r *repairing) replaceDraft(ctx context.Context, rev *revision, why error) error {
	month := rev.month
	current := false
	for _, m := range r.v.months {
		current = current || m.Month == month && m.Current.Revision == rev.manifest.Revision
	}
	if current {
		_, c, err := r.mended.computeNow(ctx, month)
		if err == nil {
			err = c.close()
		}
		if err != nil {
			r.leave(rev.key, "its files are damaged", "the month cannot be billed again: "+err.Error(), "mend what that says, then run calends repair again")
			return ctx.Err()
		}
		r.act(BillAgain, month.String(), "files of the draft are damaged and cannot be made again: "+why.Error(), "its next draft is written",
			func(ctx context.Context, e Env) error { return e.nextDraft(ctx, month) })
	}
	r.planSetAside(rev.key, "files of the draft are damaged", "the draft does not count any more; calends gc removes its other files")
	return nil
}

// computeNow computes an open month from all that came in.
func (e Env) computeNow(ctx context.Context, month pricing.Month) (snapshot, *computed, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return at, nil, err
	}
	c, err := e.compute(ctx, at, month, false)
	return at, c, err
}

// nextDraft bills a month whatever its current draft says of itself.
func (e Env) nextDraft(ctx context.Context, month pricing.Month) (err error) {
	at, c, err := e.computeNow(ctx, month)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	_, err = e.publish(ctx, at, c, ledger.Draft, consent{})
	return err
}
