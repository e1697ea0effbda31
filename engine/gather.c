/* SPDX-License-Identifier: MIT */
#include "gather.h"

/* Shares of a core, in per cent, that receiving takes without gathering: from where on it begins,
 * and below which it ends. */
enum { BEGIN_SHARE = 25, END_SHARE = 15 };

enum {
    FIRST_NS = 50000,      /* the first step, and the least that is worth a timer */
    HOLD_WINDOWS = 16,     /* after a raise that did not pay */
    HOLD_MAX = 1024,       /* the same, after many of them */
    MEASURE_WINDOWS = 1024 /* then one without gathering, as the peers' ways may have changed */
};

void lb_gather_init(struct lb_gather *gather, uint64_t max_ns, uint64_t target)
{
    *gather = (struct lb_gather){.max_ns = max_ns, .target = target, .next_hold = HOLD_WINDOWS};
}

static void turn_off(struct lb_gather *gather)
{
    gather->ns = 0;
    gather->per_turn = 0;
}

static void lower(struct lb_gather *gather)
{
    gather->ns = gather->ns / 2 < FIRST_NS ? 0 : gather->ns / 2;
    gather->per_turn = 0;
}

static void raise(struct lb_gather *gather, uint64_t per_turn)
{
    uint64_t ns = gather->ns ? gather->ns * 2 : FIRST_NS;

    if (gather->hold > 0)
        return;
    if (ns > gather->max_ns)
        ns = gather->max_ns;
    if (ns == gather->ns)
        return;
    gather->ns = ns;
    gather->per_turn = per_turn;
}

/* Waiting longer brought no more: the peers wait for us, their windows are full. Then gathering
 * only costs throughput, and the next attempt can wait, longer each time. */
static bool raise_was_vain(struct lb_gather *gather, uint64_t per_turn)
{
    bool vain = gather->per_turn && per_turn < gather->per_turn + gather->per_turn / 4;

    if (vain) {
        gather->hold = gather->next_hold;
        gather->next_hold = gather->next_hold < HOLD_MAX ? gather->next_hold * 2 : HOLD_MAX;
    } else if (gather->per_turn) {
        gather->next_hold = HOLD_WINDOWS;
    }
    gather->per_turn = 0;
    return vain;
}

/* The share that receiving would take without gathering. What it takes now says nothing of that:
 * gathering lowers it, by a factor that depends on the peers. So the bytes have to tell. */
static uint64_t plain_share(const struct lb_gather *gather, uint64_t rate)
{
    return (uint64_t)((double)gather->begin_share * (double)rate / (double)gather->begin_rate);
}

static void begin(struct lb_gather *gather, uint64_t share, uint64_t rate, uint64_t per_turn)
{
    gather->begin_share = share;
    gather->begin_rate = rate;
    gather->age = 0;
    raise(gather, per_turn);
}

static void go_on(struct lb_gather *gather, uint64_t rate, uint64_t per_turn)
{
    if (plain_share(gather, rate) < END_SHARE || ++gather->age > MEASURE_WINDOWS)
        turn_off(gather);
    else if (raise_was_vain(gather, per_turn) || per_turn > gather->target)
        lower(gather);
    else if (per_turn < gather->target / 2)
        raise(gather, per_turn);
}

uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window)
{
    uint64_t per_turn = window->turns ? window->bytes / window->turns : 0;
    uint64_t share = window->wall_ns ? window->cpu_ns * 100 / window->wall_ns : 0;
    uint64_t rate =
        window->wall_ns ? (uint64_t)((double)window->bytes * 1e9 / (double)window->wall_ns) : 0;

    if (gather->hold > 0)
        gather->hold--;
    if (gather->ns > 0)
        go_on(gather, rate, per_turn);
    else if (share >= BEGIN_SHARE && rate > 0 && per_turn < gather->target / 2)
        begin(gather, share, rate, per_turn);
    return gather->ns;
}
