/* SPDX-License-Identifier: MIT */
/* The gathering controller, driven by models of arrivals instead of sockets. */
#include "unit.h"

#include "gather.h"
#include "support.h"

#define MAX_NS UINT64_C(1000000)
#define TARGET (UINT64_C(1) << 20)

enum { WINDOW_NS = 10000000 };

/* Peers that send at some rate, and a worker that pays for each poll, receive and byte. */
struct model {
    double bytes_per_ns; /* what peers send when nothing holds them up */
    double most_queued;  /* bytes: all their windows together; they wait when it is full */
    double streams;      /* one receive takes all that a stream has sent */
    double message;      /* bytes that peers send at a time */
    double poll_cost_ns; /* waking up */
    double receive_cost_ns;
    double byte_cost_ns;
    bool brief; /* each message is a stream */
};

/* What the peers lose, as shares of what they would send, and what comes and goes by itself. */
static struct losses {
    double by_gathering, by_spared_acks, noise;
    uint64_t dice;
} losses;

static double sent_per_ns(const struct lb_gather *gather, const struct model *model)
{
    double rate = model->bytes_per_ns;

    if (gather->ns > 0)
        rate *= 1 - losses.by_gathering;
    if (gather->small)
        rate *= 1 - losses.by_spared_acks;
    if (losses.noise > 0)
        rate *= 1 + losses.noise * ((double)random_between(&losses.dice, 0, 2000) / 1000 - 1);
    return rate;
}

static double receives_for(const struct model *model, double bytes)
{
    double messages = bytes / model->message;

    return messages < 1 ? 1 : messages < model->streams ? messages : model->streams;
}

/* One window of the model under the present decision. */
static struct lb_gather_window look(const struct lb_gather *gather, const struct model *model)
{
    double sent = sent_per_ns(gather, model);
    double first_ns = model->message / sent; /* the first message wakes the worker */
    double cost = 0, bytes = 0, period = 0;

    /* What comes while the worker works or gathers is received at the next poll. */
    for (int i = 0; i < 100; i++) {
        period = cost + (double)gather->ns;
        period = period > first_ns ? period : first_ns;
        bytes = sent * period;
        bytes = bytes < model->most_queued ? bytes : model->most_queued;
        cost = model->poll_cost_ns + receives_for(model, bytes) * model->receive_cost_ns +
               bytes * model->byte_cost_ns;
    }
    period = period > cost ? period : cost;
    return (struct lb_gather_window){
        .wall_ns = WINDOW_NS,
        .cpu_ns = (uint64_t)(WINDOW_NS / period * cost),
        .polls = (uint64_t)(WINDOW_NS / period),
        .receives = (uint64_t)(WINDOW_NS / period * receives_for(model, bytes)),
        .bytes = (uint64_t)(WINDOW_NS / period * bytes),
        .streams = (uint64_t)model->streams,
        .begun = model->brief ? (uint64_t)(WINDOW_NS / period * bytes / model->message) : 0,
    };
}

/* The controller's next decision, after one more window. */
static uint64_t step(struct lb_gather *gather, const struct model *model)
{
    const struct lb_gather_window window = look(gather, model);

    return lb_gather_decide(gather, &window);
}

static uint64_t settle(struct lb_gather *gather, const struct model *model, int windows)
{
    uint64_t ns = 0;

    while (windows-- > 0)
        ns = step(gather, model);
    return ns;
}

/* 64 peers, 4 KiB at a time, as fast as one core sends. */
static const struct model fan_in = {0.8, 16e6, 64, 4096, 5000, 3500, 0.1, false};

/* 1,000 peers with 512 bytes each: none has more to say for some 7 ms. */
static const struct model crowd = {0.07, 16e6, 1000, 512, 8000, 4000, 0.1, false};

/* 50,000 messages a second of 64 bytes on 64 streams. */
static const struct model messages = {0.0032, 1e6, 64, 64, 5000, 3000, 0.1, false};

/* The same, so few of them that waiting for company takes longer than the bound. */
static const struct model dear_messages = {0.00064, 1e6, 64, 64, 30000, 10000, 0.1, false};

/* 20,000 of them, which take less than a quarter of a core. */
static const struct model light_messages = {0.00128, 1e6, 64, 64, 5000, 3000, 0.1, false};

/* A few small messages: hardly any load. */
static const struct model trickle = {0.00064, 1e6, 64, 64, 8000, 3000, 0.1, false};

/* One peer whose window is 64 KiB: it sends no more until those are received. */
static const struct model small_window = {2.5, 65536, 1, 65536, 8000, 3000, 0.15, false};

/* One bulk stream: a wake-up for 64 KiB each. */
static const struct model bulk = {4.0, 6e6, 1, 65536, 5000, 2000, 0.08, false};

/* 25,000 streams a second, of one message each: half a core. */
static const struct model brief = {0.000325, 1e6, 64, 13, 8000, 12000, 0.1, true};

/* The same with all that the cache holds at each wake-up. */
static const struct model bulk_in_batches = {2.5, 6e6, 1, 1 << 20, 5000, 2000, 0.15, false};

static void never_waits_with_time_to_spare(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(0, step(&gather, &trickle));
}

static void lets_many_peers_bytes_merge(void **state)
{
    struct lb_gather gather;
    uint64_t ns;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    ns = settle(&gather, &fan_in, 100);
    assert_in_range(ns, MAX_NS / 2, MAX_NS);
}

static void leaves_few_messages_alone(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(0, step(&gather, &dear_messages));
    lb_gather_init(&gather, 10 * MAX_NS, TARGET, true);
    assert_true(settle(&gather, &dear_messages, 100) > MAX_NS);
}

/* A host that takes the processor away makes all that came meanwhile look dear. */
static struct lb_gather_window spoilt(struct lb_gather_window window)
{
    window.cpu_ns += window.wall_ns / 2;
    return window;
}

static void is_begun_by_no_single_window(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    for (int i = 0; i < 1000; i++) {
        const struct lb_gather_window window = look(&gather, &light_messages);
        const struct lb_gather_window bad = spoilt(window);

        assert_int_equal(0, lb_gather_decide(&gather, i % 3 ? &bad : &window));
    }
}

static void survives_a_spoilt_window_of_a_trial(void **state)
{
    struct lb_gather gather;
    struct lb_gather_window window;
    uint64_t ns = 0;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    while (ns == 0)
        ns = step(&gather, &messages);
    for (int i = 0; i < 2; i++) {
        window = spoilt(look(&gather, &messages));
        assert_int_equal(ns, lb_gather_decide(&gather, &window));
    }
    assert_true(step(&gather, &messages) > ns);
}

/* ACKs are worth sparing where messages are small, and only while gathering. */
static void tells_of_small_messages(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    step(&gather, &messages);
    assert_false(gather.small);
    settle(&gather, &messages, 100);
    assert_true(gather.small);
    settle(&gather, &trickle, 2);
    assert_false(gather.small);
    settle(&gather, &fan_in, 100);
    assert_true(gather.ns > 0);
    assert_false(gather.small);
}

/* No two messages of a peer come within the bound: a few of different peers share a wake-up, and
 * then there is nothing left to gain by letting them wait. With a wider bound there is. */
static void delays_no_more_than_it_saves(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    assert_in_range(settle(&gather, &messages, 100), 400000, 700000);
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    assert_in_range(settle(&gather, &crowd, 100), 50000, 400000);
    lb_gather_init(&gather, 10 * MAX_NS, TARGET, true);
    assert_in_range(settle(&gather, &crowd, 100), 3 * MAX_NS, 10 * MAX_NS);
}

static void brings_bulk_in_larger_pieces(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    assert_in_range(settle(&gather, &bulk, 100), 50000, 400000);
}

static void is_bounded_and_can_be_off(void **state)
{
    const struct model thin = {0.2, 16e6, 64, 4096, 5000, 3500, 0.1, false};
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, 300000, TARGET, true);
    for (int i = 0; i < 100; i++)
        assert_true(step(&gather, &thin) <= 300000);
    assert_true(gather.ns > 0);
    lb_gather_init(&gather, 0, TARGET, true);
    for (int i = 0; i < 100; i++)
        assert_int_equal(0, step(&gather, &fan_in));
}

/* Waiting for a peer that waits for us is the cliff: it must be tried rarely, and left at once. */
static void leaves_a_full_window_alone(void **state)
{
    struct lb_gather gather;
    int gathering = 0;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    for (int i = 0; i < 1000; i++)
        gathering += step(&gather, &small_window) > 0;
    assert_in_range(gathering, 0, 25);
}

static void has_nothing_to_add_to_large_batches(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    for (int i = 0; i < 100; i++)
        assert_int_equal(0, step(&gather, &bulk_in_batches));
}

/* The first message after a burst may find the last decision; the window it ends undoes it. */
static void forgets_the_load_with_its_first_quiet_window(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, true);
    assert_true(settle(&gather, &fan_in, 20) > 0);
    assert_int_equal(0, step(&gather, &trickle));
    assert_true(settle(&gather, &fan_in, 20) > 0);
}

/* It must not go on and off by itself: gathering lowers the very load that began it. */
static void is_steady_under_a_steady_load(void **state)
{
    struct lb_gather gather;

    (void)state;
    for (double rate = 0.01; rate < 2; rate *= 1.3) {
        struct model model = fan_in;
        int changes = 0;
        uint64_t before;

        model.bytes_per_ns = rate;
        lb_gather_init(&gather, MAX_NS, TARGET, true);
        before = settle(&gather, &model, 50);
        for (int i = 0; i < 100; i++) {
            uint64_t now = step(&gather, &model);

            changes += (now == 0) != (before == 0);
            before = now;
        }
        assert_in_range(changes, 0, 2);
    }
}

/* ---- balanced -------------------------------------------------------------------------------- */

struct story {
    double gathered, spared; /* shares of its windows */
    double rate;             /* bytes a ns */
    int begins;              /* of gathering, plain windows between two stretches aside */
};

enum { LONG = 40000, BETWEEN = 10 };

static struct story tell(const struct model *model, struct losses now)
{
    struct story story = {0};
    struct lb_gather gather;
    int plain = BETWEEN + 1;

    losses = now;
    losses.dice = 1;
    lb_gather_init(&gather, MAX_NS, TARGET, false);
    for (int i = 0; i < LONG; i++) {
        const struct lb_gather_window window = look(&gather, model);

        story.gathered += gather.ns > 0;
        story.spared += gather.small;
        story.rate += (double)window.bytes / WINDOW_NS / LONG;
        story.begins += gather.ns > 0 && plain > BETWEEN;
        plain = gather.ns > 0 ? 0 : plain + 1;
        lb_gather_decide(&gather, &window);
    }
    story.gathered /= LONG;
    story.spared /= LONG;
    losses = (struct losses){0};
    return story;
}

static const struct losses nothing;

/* A few windows, more and more rarely. */
static const double TRIED = 0.002;

/* Peers that have no time to spare send faster where they needn't wake the worker, who has some. */
static void gathers_where_that_lifts_throughput(void **state)
{
    const struct losses gain = {.by_gathering = -0.5};

    (void)state;
    assert_true(tell(&messages, gain).gathered > 0.95);
    assert_true(tell(&messages, gain).rate > 1.4 * messages.bytes_per_ns);
    assert_true(tell(&messages, (struct losses){.by_gathering = -0.05}).gathered < TRIED);
    assert_true(tell(&messages, (struct losses){.noise = 0.15}).gathered < 10 * TRIED);
    assert_true(tell(&trickle, gain).gathered == 0);
}

static void waits_only_where_time_is_short(void **state)
{
    struct model busier = messages;

    (void)state;
    assert_true(tell(&messages, nothing).gathered < TRIED);
    assert_true(tell(&light_messages, nothing).gathered < TRIED);
    assert_true(tell(&trickle, nothing).gathered == 0);
    busier.bytes_per_ns *= 2.2; /* 110,000 a second take 0.88 of a core */
    assert_true(tell(&busier, nothing).gathered > 0.9);
}

static void keeps_what_fan_in_and_bulk_save(void **state)
{
    (void)state;
    assert_true(tell(&fan_in, nothing).gathered > 0.95);
    assert_int_equal(tell(&fan_in, nothing).begins, 1);
    assert_true(tell(&bulk, nothing).gathered > 0.95);
}

/* Records wake a worker that sleeps again at once; of messages half that size somebody may wait. */
static void takes_records_of_tls_for_bulk(void **state)
{
    struct model records = {0.8, 6e6, 1, 16406, 2000, 1500, 0.2, false}; /* a third of a core */

    (void)state;
    assert_true(tell(&records, nothing).gathered > 0.9);
    records.message = 8192;
    assert_true(tell(&records, nothing).gathered < TRIED);
}

static void lets_brief_streams_share_a_wake_up(void **state)
{
    struct model messages_of_few = brief;

    (void)state;
    assert_true(tell(&brief, nothing).gathered > 0.95);
    assert_true(tell(&brief, (struct losses){.by_gathering = 0.1}).gathered < 0.05);
    messages_of_few.brief = false;
    assert_true(tell(&messages_of_few, nothing).gathered < TRIED);
}

/* A load that goes up and down around the bound, and is above it for the most part. */
static void takes_windows_together(void **state)
{
    struct model busy = messages;

    (void)state;
    busy.bytes_per_ns *= 1.9; /* 0.76 of a core */
    assert_true(tell(&busy, (struct losses){.noise = 0.15}).gathered > 0.8);
    busy.bytes_per_ns = messages.bytes_per_ns * 1.5; /* 0.6 */
    assert_true(tell(&busy, (struct losses){.noise = 0.15}).gathered < 0.1);
}

/* Between the two shares it stays as it is. */
static void ends_later_than_it_begins(void **state)
{
    struct lb_gather gather;
    struct model model = messages;
    int tried = 0;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, false);
    model.bytes_per_ns = messages.bytes_per_ns * 1.5; /* 0.6 of a core */
    assert_int_equal(settle(&gather, &model, 500), 0);
    model.bytes_per_ns = messages.bytes_per_ns * 2;
    settle(&gather, &model, 500);
    model.bytes_per_ns = messages.bytes_per_ns * 1.5;
    for (int i = 0, plain = 0; i < 5000; i++) {
        plain = step(&gather, &model) > 0 ? 0 : plain + 1;
        assert_true(plain <= BETWEEN);
    }
    model.bytes_per_ns = messages.bytes_per_ns; /* 0.4 */
    settle(&gather, &model, 20);
    for (int i = 0; i < 5000; i++)
        tried += step(&gather, &model) > 0;
    assert_true(tried < 5000 * TRIED);
}

/* What a receiver saves must not be what the others pay. */
static void turns_itself_off_where_throughput_falls(void **state)
{
    struct story story = tell(&fan_in, (struct losses){.by_gathering = 0.1});

    (void)state;
    assert_true(story.gathered > 0 && story.gathered < 0.05);
    assert_true(story.rate > 0.97 * fan_in.bytes_per_ns);
}

static void bears_a_little_loss(void **state)
{
    (void)state;
    assert_true(tell(&fan_in, (struct losses){.by_gathering = 0.05}).gathered > 0.95);
}

/* First what costs most on loopback: the ACKs that the sender has to take. */
static void sends_all_acks_again_before_it_ends(void **state)
{
    struct model busier = messages;
    struct story story;

    (void)state;
    busier.bytes_per_ns *= 2.2;
    story = tell(&busier, (struct losses){.by_spared_acks = 0.15});
    assert_true(story.gathered > 0.9);
    assert_true(story.spared > 0 && story.spared < 0.1);
    assert_true(tell(&busier, nothing).spared > 0.9);
}

/* A raise that was vain is no stretch that the guard saw, so the next is as short as the first. */
static void trusts_only_what_it_saw(void **state)
{
    struct lb_gather gather;
    unsigned first;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET, false);
    first = gather.stretch;
    settle(&gather, &small_window, 1000);
    assert_true(gather.raise_hold.next > 16); /* it has tried, again and again */
    assert_int_equal(gather.stretch, first);
}

static void overlooks_a_quiet_window(void **state)
{
    struct model less = fan_in;
    struct lb_gather gather;

    (void)state;
    less.bytes_per_ns *= 0.4; /* of the core that it takes, of which 0.5 is the bound */
    lb_gather_init(&gather, MAX_NS, TARGET, false);
    assert_true(settle(&gather, &fan_in, 20) > 0);
    assert_true(step(&gather, &less) > 0);
    assert_true(settle(&gather, &fan_in, 5) > 0);
    step(&gather, &less);
    assert_int_equal(0, step(&gather, &less));
}

static void is_not_deceived_by_noise(void **state)
{
    (void)state;
    assert_true(tell(&fan_in, (struct losses){.noise = 0.15}).gathered > 0.8);
    assert_true(tell(&fan_in, (struct losses){.noise = 0.15, .by_gathering = 0.15}).gathered < 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_waits_with_time_to_spare),
        cmocka_unit_test(lets_many_peers_bytes_merge),
        cmocka_unit_test(leaves_few_messages_alone),
        cmocka_unit_test(is_begun_by_no_single_window),
        cmocka_unit_test(survives_a_spoilt_window_of_a_trial),
        cmocka_unit_test(tells_of_small_messages),
        cmocka_unit_test(delays_no_more_than_it_saves),
        cmocka_unit_test(brings_bulk_in_larger_pieces),
        cmocka_unit_test(is_bounded_and_can_be_off),
        cmocka_unit_test(leaves_a_full_window_alone),
        cmocka_unit_test(has_nothing_to_add_to_large_batches),
        cmocka_unit_test(forgets_the_load_with_its_first_quiet_window),
        cmocka_unit_test(is_steady_under_a_steady_load),
        cmocka_unit_test(waits_only_where_time_is_short),
        cmocka_unit_test(keeps_what_fan_in_and_bulk_save),
        cmocka_unit_test(takes_records_of_tls_for_bulk),
        cmocka_unit_test(lets_brief_streams_share_a_wake_up),
        cmocka_unit_test(takes_windows_together),
        cmocka_unit_test(ends_later_than_it_begins),
        cmocka_unit_test(turns_itself_off_where_throughput_falls),
        cmocka_unit_test(bears_a_little_loss),
        cmocka_unit_test(sends_all_acks_again_before_it_ends),
        cmocka_unit_test(gathers_where_that_lifts_throughput),
        cmocka_unit_test(trusts_only_what_it_saw),
        cmocka_unit_test(overlooks_a_quiet_window),
        cmocka_unit_test(is_not_deceived_by_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
