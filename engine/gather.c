/* SPDX-License-Identifier: MIT */
#include "gather.h"

/* Shares of a core, in per cent, that receiving takes without gathering: from where on it begins,
 * and below which it ends. */
enum { BEGIN_SHARE = 25, END_SHARE = 15 };

/* From how many receives a wake-up on its wake-up costs next to nothing, and from how many bytes a
 * receive on its own cost does not. */
enum { RECEIVES_ENOUGH = 8, BYTES_ENOUGH = 32 << 10 };

enum {
    WINDOW_NS = 2000000,   /* a window is at least so long, */
    WINDOW_POLLS = 4,      /* and has so many polls, */
    PATIENCE = 10,         /* unless that takes so many times what it should */
    FIRST_NS = 50000,      /* the first step, and the least that is worth a timer */
    TRIAL_WINDOWS = 2,     /* of a raise; the first began before it */
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
    uint64_t idle = load->share < 100 ? 100 - load->share : 1;

    return load->interval_ns / 100 * idle / 5 * 7;
}

static bool may_merge(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return load->per_receive < BYTES_ENOUGH && merging_ns(load) <= gather->max_ns;
}

static bool wants_more(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return load->per_poll < gather->target &&
           (load->receives < RECEIVES_ENOUGH || may_merge(gather, load));
}

static void raise(struct lb_gather *gather, const struct lb_gather_load *load)
{
    uint64_t ns = gather->ns ? gather->ns * 2 : FIRST_NS;

    if (gather->hold > 0)
        return;
    if (load->receives >= RECEIVES_ENOUGH && ns < merging_ns(load))
        ns = merging_ns(load);
    if (ns > gather->max_ns)
        ns = gather->max_ns;
    if (ns == gather->ns)
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
    gather->ns = gather->ns / 2 < FIRST_NS ? 0 : gather->ns / 2;
}

/* The share that receiving would take without gathering. What it takes now says nothing of that:
 * gathering lowers it, by a factor that depends on the peers. So the bytes have to tell. */
static uint64_t plain_share(const struct lb_gather *gather, const struct lb_gather_load *load)
{
    return (uint64_t)((double)gather->plain.share * (double)load->rate /
                      (double)gather->plain.rate);
}

static void begin(struct lb_gather *gather, const struct lb_gather_load *load)
{
    gather->plain = *load;
    gather->age = 0;
    raise(gather, load);
}

static void go_on(struct lb_gather *gather, const struct lb_gather_load *load)
{
    unsigned trial = gather->trial;

    if (trial > 0)
        gather->trial--;
    if (plain_share(gather, load) < END_SHARE || ++gather->age > MEASURE_WINDOWS) {
        gather->ns = 0;
        gather->trial = 0;
    } else if (trial == 1 && was_vain(gather, load)) {
        take_back(gather);
    } else if (trial <= 1) {
        if (trial == 1)
            gather->next_hold = HOLD_WINDOWS;
        if (load->per_poll > gather->target * 2)
            lower(gather);
        else if (wants_more(gather, load))
            raise(gather, load);
    }
}

uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window)
{
    const struct lb_gather_load load = look(window);

    if (gather->hold > 0)
        gather->hold--;
    if (gather->ns > 0)
        go_on(gather, &load);
    else if (load.share >= BEGIN_SHARE && load.rate > 0 && wants_more(gather, &load))
        begin(gather, &load);
    return gather->ns;
}
