/* SPDX-License-Identifier: MIT */
#include "gather.h"

#include "clock.h"

/* Shares of a core, in per cent, that receiving takes without gathering: from where on it begins,
 * if some windows together take so much, and below which it ends. */
struct shares {
    uint64_t begin, end;
};

static const struct shares to_save = {25, 15}, short_of_time = {70, 50};

/* From how many receives a wake-up on its wake-up costs next to nothing, and from how many bytes a
 * receive on its own cost does not. Pieces from PIECE bytes on, a TLS record's, are no messages. Up
 * to SMALL bytes a receive costs as much as its ACK. */
enum { RECEIVES_ENOUGH = 28, BYTES_ENOUGH = 32 << 10, PIECE = 12 << 10, SMALL = 1 << 10 };

/* The first step is to bring so many: with less it saves no more than its timer costs. */
enum { FIRST_RECEIVES = 12 };

enum {
    WINDOW_NS = 2000000,    /* a window is at least so long, */
    WINDOW_POLLS = 4,       /* and has so many polls, */
    PATIENCE = 10,          /* unless that takes so many times what it should */
    BEGIN_WINDOWS = 3,      /* with a load: one alone may be somebody else's doing */
    LEAST_NS = 150000,      /* that are worth a timer (DECISIONS.md) */
    TRIAL_WINDOWS = 3,      /* of a raise; the first began before it */
    HOLD_WINDOWS = 16,      /* after a raise that did not pay */
    HOLD_MAX = 1024,        /* the same, after many of them */
    MEASURE_WINDOWS = 1024, /* then some without gathering, as the peers' ways may have changed */

    /* With a guard: */
    PLAIN_WINDOWS = 8,     /* with a load, before it begins, so that their rate says something */
    STRETCH_WINDOWS = 32,  /* of gathering, at first, and while there is doubt */
    GUARD_HOLD = 4096,     /* after losses: some ten seconds, */
    GUARD_HOLD_MAX = 65536 /* and a few minutes, after many of them */
};

/* Of the throughput: where more than that is lost, two thirds of the processor time, which is what
 * gathering brings at most, are not worth it. */
static const double KEPT = 0.94;

/* Where a worker that isn't short of time gathers, it has to go on lifting throughput. */
static const double LIFTED = 1.1;

void lb_gather_init(struct lb_gather *gather, uint64_t max_ns, uint64_t target, bool saving)
{
    *gather = (struct lb_gather){
        .max_ns = max_ns,
        .target = target,
        .saving = saving,
        .raise_hold.next = HOLD_WINDOWS,
        .stretch = saving ? MEASURE_WINDOWS : STRETCH_WINDOWS,
        .guard_hold.next = GUARD_HOLD,
    };
    lb_sparing_init(&gather->sparing);
    lb_lift_init(&gather->lift);
}

bool lb_gather_is_over(const struct lb_gather *gather, uint64_t wall_ns, uint64_t polls)
{
    return wall_ns >= WINDOW_NS &&
           (polls >= WINDOW_POLLS || wall_ns >= (gather->ns + WINDOW_NS) * PATIENCE);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct lb_gather_load look(const struct lb_gather_window *window)
{
    uint64_t wall_ns = window->wall_ns ? window->wall_ns : 1;
    uint64_t polls = window->polls ? window->polls : 1;
    uint64_t receives = window->receives ? window->receives : 1;

    return (struct lb_gather_load){
        .share = window->cpu_ns * 100 / wall_ns,
        .rate = (uint64_t)((double)window->bytes * 1e9 / (double)wall_ns),
        .cost = window->bytes ? (double)window->cpu_ns / (double)window->bytes : 0,
        .per_poll = window->bytes / polls,
        .per_receive = window->bytes / receives,
        .receives = window->receives / polls,
        .interval_ns = window->streams * wall_ns / receives,
        .brief = window->begun * 2 > receives,
    };
}

/* Long enough for a stream's next bytes to join those that have come: a little more than the time
 * between two of its receives, less what the worker is at work in between. */
static uint64_t merging_ns(const struct lb_gather_load *load)
{
    return load->interval_ns / 100 * (140 - least(load->share, 100));
}

static bool is_bulk(const struct lb_gather_load *load)
{
    return load->per_receive >= BYTES_ENOUGH;
}

/* Somebody may wait for the next bytes, with an answer of his own. */
static bool are_messages(const struct lb_gather_load *load)
{
    return load->per_receive < PIECE && !load->brief;
}

static bool may_merge(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return merging_ns(load) <= gather->max_ns;
}

/* Bulk is worth one short step: a longer one fills the peers' windows. */
static bool wants_more(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    if (load->per_poll >= gather->target)
        return false;
    if (is_bulk(load))
        return gather->ns == 0;
    return load->receives < RECEIVES_ENOUGH || may_merge(gather, load);
}

/* How long it takes for so many bytes to come. */
static uint64_t time_for(const struct lb_gather_load *load, uint64_t bytes)
{
    return bytes * LB_NS_PER_S / load->rate;
}

/* So long that it brings enough to be worth a timer. */
static uint64_t first_ns(const struct lb_gather_load *load)
{
    uint64_t ns = is_bulk(load) ? 0 : time_for(load, load->per_receive * FIRST_RECEIVES);

    return most(ns, LEAST_NS);
}

static bool is_held(const struct lb_gather *gather)
{
    return gather->raise_hold.left > 0 || gather->guard_hold.left > 0;
}

/* Gathering could begin, within the bound. */
static bool may_raise(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return !is_held(gather) && wants_more(gather, load) &&
           first_ns(load) <= most(gather->max_ns, LEAST_NS);
}

static uint64_t next_ns(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    uint64_t ns = gather->ns ? gather->ns * 2 : first_ns(load);

    if (may_merge(gather, load) && !is_bulk(load))
        ns = most(ns, merging_ns(load));
    else
        ns = least(ns, time_for(load, load->per_receive * RECEIVES_ENOUGH));
    return least(ns, gather->max_ns);
}

static void raise(struct lb_gather *gather, const struct lb_gather_load *load)
{
    uint64_t ns = next_ns(gather, load);

    if (is_held(gather) || ns <= gather->ns)
        return;
    gather->before = *load;
    gather->before_ns = gather->ns;
    gather->trial = TRIAL_WINDOWS;
    gather->ns = ns;
}

/* It saved nothing: the peers wait for us, their windows are full, or each has too little to say.
 * Then waiting costs throughput or latency for nothing. */
static bool was_vain(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return load->cost > gather->before.cost * 0.95 ||
           load->rate < gather->before.rate - gather->before.rate / 5;
}

/* The next attempt can wait, longer each time. */
static void take_back(struct lb_gather *gather)
{
    gather->ns = gather->before_ns;
    lb_backoff_begin(&gather->raise_hold, HOLD_MAX);
}

static void lower(struct lb_gather *gather)
{
    gather->ns = gather->ns / 2 < LEAST_NS ? 0 : gather->ns / 2;
}

/* The share that receiving would take without gathering. What it takes now says nothing of that:
 * gathering lowers it, by a factor that depends on the peers. So the bytes have to tell. */
static uint64_t plain_share(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return (uint64_t)((double)gather->plain.share * (double)load->rate /
                      (double)gather->plain.rate);
}

static const struct shares *shares_of(const struct lb_gather *gather,
                                      const struct lb_gather_load *load)
{
    return gather->saving || gather->lifted || !are_messages(load) ? &to_save : &short_of_time;
}

/* The load has gone: at once if there is hardly any left, else after two windows, as loads go up
 * and down. */
static bool has_gone(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    uint64_t end = shares_of(gather, &gather->plain)->end, share = plain_share(gather, load);

    return share < end / 2 || (share < end && plain_share(gather, &gather->last) < end);
}

/* Plain windows have followed a stretch. Returns false if there is to be no other for now. */
static bool is_harmless(struct lb_gather *gather)
{
    bool spared = gather->spared;

    gather->spared = false;
    switch (lb_guard_judge(&gather->guard, gather->lifted ? LIFTED : KEPT)) {
    case LB_GUARD_WELL:
        gather->stretch *= gather->stretch < MEASURE_WINDOWS ? 2 : 1;
        return true;
    case LB_GUARD_UNSEEN:
    case LB_GUARD_DOUBT:
        return true;
    case LB_GUARD_LOSSES:
        break;
    }
    gather->stretch = STRETCH_WINDOWS;
    if (spared) {
        lb_sparing_suspend(&gather->sparing);
        return true;
    }
    gather->between = gather->lifted = false;
    gather->resume_ns = 0;
    lb_backoff_begin(&gather->guard_hold, GUARD_HOLD_MAX);
    return false;
}

/* A host that takes the processor away for a moment makes bytes look dear in one window, and loads
 * go up and down: a few windows together tell. Returns whether they are all there. */
static bool has_seen_enough(struct lb_gather *gather, const struct lb_gather_load *load)
{
    if (gather->loaded == 0) {
        gather->loaded_share = 0;
        gather->plain = *load;
    } else if (load->cost < gather->plain.cost) {
        gather->plain = *load;
    }
    gather->loaded_share += load->share;
    return ++gather->loaded >= (gather->saving ? BEGIN_WINDOWS : PLAIN_WINDOWS);
}

static void begin(struct lb_gather *gather, const struct lb_gather_load *load)
{
    uint64_t share;

    if (!has_seen_enough(gather, load))
        return;
    share = gather->loaded_share / gather->loaded;
    gather->loaded = 0;
    if (!gather->between && share < shares_of(gather, load)->begin)
        return;
    gather->age = 0;
    if (!gather->saving && !is_harmless(gather))
        return;
    gather->ns = gather->resume_ns;
    gather->resume_ns = 0;
    gather->between = false;
    if (gather->ns == 0 && wants_more(gather, &gather->plain))
        raise(gather, &gather->plain);
}

/* Nothing is to be gathered, and what comes is no measure for what came. */
static void rest(struct lb_gather *gather)
{
    gather->loaded = 0;
    gather->between = false;
    gather->resume_ns = 0;
    gather->spared = gather->lifted = false;
    lb_guard_forget(&gather->guard);
    lb_sparing_forget(&gather->sparing);
}

/* There is time to spare, but perhaps the peers have none. */
static bool may_lift(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return !gather->saving && !gather->between && load->rate > 0 && are_messages(load) &&
           load->share >= to_save.begin && may_raise(gather, load);
}

static void try_to_lift(struct lb_gather *gather, const struct lb_gather_load *load,
                        const struct lb_gather_window *window)
{
    if (!may_lift(gather, load)) {
        lb_lift_forget(&gather->lift);
    } else if (lb_lift_try(&gather->lift, window->bytes, window->wall_ns)) {
        gather->plain = *load;
        gather->ns = next_ns(gather, load);
    }
}

static void judge_lift(struct lb_gather *gather, const struct lb_gather_window *window)
{
    switch (lb_lift_judge(&gather->lift, window->bytes, window->wall_ns)) {
    case LB_LIFT_TRYING:
        break;
    case LB_LIFT_VAIN:
        gather->ns = 0;
        break;
    case LB_LIFT_FOUND:
        gather->lifted = true;
        gather->age = 0;
    }
}

static void judge(struct lb_gather *gather, const struct lb_gather_load *load)
{
    if (was_vain(gather, load))
        take_back(gather);
    else
        gather->raise_hold.next = HOLD_WINDOWS;
}

static void stop(struct lb_gather *gather)
{
    /* Peers that wait for us look like peers that have gone quiet. */
    if (gather->trial > 0)
        take_back(gather);
    gather->ns = 0;
    gather->trial = 0;
}

/* The stretch is over. After the longest all is tried anew. */
static void pause(struct lb_gather *gather)
{
    uint64_t ns = gather->trial > 0 ? gather->before_ns : gather->ns;

    stop(gather);
    if (gather->saving)
        return;
    gather->between = true;
    if (gather->stretch < MEASURE_WINDOWS)
        gather->resume_ns = ns;
    else
        gather->raise_hold.left = 0;
}

static void go_on(struct lb_gather *gather, const struct lb_gather_load *load)
{
    /* Of two windows the cheaper one, before a raise and after it: nothing makes bytes cheaper than
     * they are, and a busy machine makes them dearer. */
    const struct lb_gather_load *best = load->cost < gather->last.cost ? load : &gather->last;

    if (has_gone(gather, load)) {
        stop(gather);
        return;
    }
    if (++gather->age > gather->stretch) {
        pause(gather);
        return;
    }
    if (gather->trial > 0) {
        if (--gather->trial > 0)
            return;
        judge(gather, best);
    }
    if (load->per_poll > gather->target * 2)
        lower(gather);
    else if (wants_more(gather, load))
        raise(gather, best);
}

/* Is there a load that gathering could lighten within the bound? */
static bool is_loaded(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    const struct shares *shares = shares_of(gather, load);

    /* Where the guard looks on, one quiet window among busy ones is none. */
    if (load->rate == 0 || load->share < (gather->saving ? shares->begin : shares->end))
        return false;
    return gather->between || may_raise(gather, load);
}

/* ACKs are worth sparing; a little more than that doesn't end it, as each change costs a call for
 * each stream. */
static bool is_small(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return gather->ns > 0 && load->per_receive <= (gather->small ? 2 * SMALL : SMALL);
}

static bool spares(struct lb_gather *gather, const struct lb_gather_load *load,
                   const struct lb_gather_window *window)
{
    if (!is_small(gather, load))
        return false;
    return gather->saving || lb_sparing_decide(&gather->sparing, window->bytes, window->wall_ns);
}

uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window)
{
    const struct lb_gather_load load = look(window);

    lb_backoff_pass(&gather->raise_hold);
    lb_backoff_pass(&gather->guard_hold);
    lb_guard_saw(&gather->guard, gather->ns > 0, window->bytes, window->wall_ns);
    if (gather->lift.trying)
        judge_lift(gather, window);
    else if (gather->ns > 0)
        go_on(gather, &load);
    else if (is_loaded(gather, &load))
        begin(gather, &load);
    else
        rest(gather);
    if (gather->ns == 0)
        try_to_lift(gather, &load, window);
    gather->last = load;
    gather->small = spares(gather, &load, window);
    gather->spared |= gather->small;
    return gather->ns;
}
