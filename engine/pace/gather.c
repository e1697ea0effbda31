/* SPDX-License-Identifier: MIT */
#include "gather.h"

#include "clock.h"

/* Shares of a core, in per cent, that receiving takes without gathering: from where on it begins,
 * and below which it ends. */
enum { BEGIN_SHARE = 25, END_SHARE = 15 };

/* From how many receives a wake-up on its wake-up costs next to nothing, and from how many bytes a
 * receive on its own cost does not. Up to SMALL bytes a receive costs as much as its ACK. */
enum { RECEIVES_ENOUGH = 28, BYTES_ENOUGH = 32 << 10, SMALL = 1 << 10 };

/* The first step is to bring so many: with less it saves no more than its timer costs. */
enum { FIRST_RECEIVES = 12 };

enum {
    WINDOW_NS = 2000000,   /* a window is at least so long, */
    WINDOW_POLLS = 4,      /* and has so many polls, */
    PATIENCE = 10,         /* unless that takes so many times what it should */
    BEGIN_WINDOWS = 3,     /* with a load: one alone may be somebody else's doing */
    LEAST_NS = 150000,     /* that are worth a timer (DECISIONS.md) */
    TRIAL_WINDOWS = 3,     /* of a raise; the first began before it */
    HOLD_WINDOWS = 16,     /* after a raise that did not pay */
    HOLD_MAX = 1024,       /* the same, after many of them */
    MEASURE_WINDOWS = 1024 /* then one without gathering, as the peers' ways may have changed */
};

void lb_gather_init(struct lb_gather *gather, uint64_t max_ns, uint64_t target)
{
    *gather = (struct lb_gather){.max_ns = max_ns, .target = target, .next_hold = HOLD_WINDOWS};
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

    if (gather->hold > 0 || ns <= gather->ns)
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
    gather->hold = gather->next_hold;
    gather->next_hold = gather->next_hold < HOLD_MAX ? gather->next_hold * 2 : HOLD_MAX;
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

/* A host that takes the processor away for a moment makes bytes look dear in one window. */
static void begin(struct lb_gather *gather, const struct lb_gather_load *load)
{
    if (gather->loaded == 0 || load->cost < gather->plain.cost)
        gather->plain = *load;
    if (++gather->loaded < BEGIN_WINDOWS)
        return;
    gather->loaded = 0;
    gather->age = 0;
    raise(gather, &gather->plain);
}

static void judge(struct lb_gather *gather, const struct lb_gather_load *load)
{
    if (was_vain(gather, load))
        take_back(gather);
    else
        gather->next_hold = HOLD_WINDOWS;
}

static void go_on(struct lb_gather *gather, const struct lb_gather_load *load)
{
    /* Of two windows the cheaper one, before a raise and after it: nothing makes bytes cheaper than
     * they are, and a busy machine makes them dearer. */
    const struct lb_gather_load *best = load->cost < gather->last.cost ? load : &gather->last;

    if (plain_share(gather, load) < END_SHARE || ++gather->age > MEASURE_WINDOWS) {
        /* Peers that wait for us look like peers that have gone quiet. */
        if (gather->trial > 0)
            take_back(gather);
        gather->ns = 0;
        gather->trial = 0;
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
    return gather->hold == 0 && load->share >= BEGIN_SHARE && load->rate > 0 &&
           wants_more(gather, load) && first_ns(load) <= most(gather->max_ns, LEAST_NS);
}

uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window)
{
    const struct lb_gather_load load = look(window);

    if (gather->hold > 0)
        gather->hold--;
    if (gather->ns > 0)
        go_on(gather, &load);
    else if (is_loaded(gather, &load))
        begin(gather, &load);
    else
        gather->loaded = 0;
    gather->last = load;
    gather->small = gather->ns > 0 && load.per_receive <= SMALL;
    return gather->ns;
}
