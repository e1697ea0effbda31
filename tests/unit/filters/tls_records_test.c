/* SPDX-License-Identifier: MIT */
/* The filter tls behind its handshake: with our reader of records and with libssl's it comes to the
 * same, byte by byte, and that is what a case expects. */
#include "unit.h"

#include "tls_records.h"
#include "tls_replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT = SSL3_RT_APPLICATION_DATA, HANDSHAKE = SSL3_RT_HANDSHAKE, ALERT = SSL3_RT_ALERT };
enum { FULL = 16 << 10, BODY_MOST = FULL + 256, TAG = 16 };

static struct replay_client clients[REPLAY_SUITES];
static const struct replay_cut whole = {.count = 0}, byte_by_byte = {.pieces = {1}, .count = 1};

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REPLAY_SUITES; i++)
        replay_record(&clients[i], i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REPLAY_SUITES; i++)
        replay_forget(&clients[i]);
    return 0;
}

static const uint8_t *payload(size_t size)
{
    static uint8_t bytes[FULL + 300];

    assert_true(size <= sizeof(bytes));
    payload_fill(1, 0, bytes, size);
    return bytes;
}

static void content(struct forger *forger, size_t size)
{
    forge(forger, CONTENT, payload(size), size, 0);
}

static const struct replay_outcome *compare(const struct replay_client *client,
                                            const struct forger *forger,
                                            const struct replay_cut *cut)
{
    const struct replay_outcome *outcome;
    const char *why = replay_compare(client, forger->bytes, forger->size, cut, &outcome);

    if (why)
        fail_msg("%s: %s", client->suite->name, why);
    return outcome;
}

static void check(const struct replay_client *client, const struct forger *forger, const char *name,
                  size_t plain, const struct lb_verdict *expected)
{
    static const struct replay_cut cuts[] = {
        {.count = 0}, {.pieces = {1}, .count = 1}, {.pieces = {7, 30000}, .count = 2}};

    for (size_t cut = 0; cut < sizeof(cuts) / sizeof(cuts[0]); cut++) {
        const struct replay_outcome *outcome = compare(client, forger, &cuts[cut]);
        const char *why = outcome->verdict.why ? outcome->verdict.why : "";

        if (outcome->plain_size != plain || outcome->verdict.end != expected->end ||
            (expected->why && strcmp(expected->why, why) != 0))
            fail_msg("%s: %zu bytes, %s (%s)", name, outcome->plain_size,
                     lb_end_name(outcome->verdict.end), why);
    }
}

/* ---- each kind of record --------------------------------------------------------------------- */

enum { SEALED, RAW };

/* Behind ten bytes of content. */
static const struct {
    const char *name;
    unsigned form, type;
    const char *bytes; /* NULL: any. Of RAW ones: the version */
    size_t size, padding;
    struct lb_verdict verdict;
} kinds[] = {
#define FAILS(why)                                                                                 \
    {                                                                                              \
        LB_END_ERROR, 0, why                                                                       \
    }
    {"an end", SEALED, ALERT, "\1\0", 2, 0, {LB_END_EOF, 0, NULL}},
    {"an end that is fatal", SEALED, ALERT, "\2\0", 2, 0, {LB_END_EOF, 0, NULL}},
    {"an end with padding", SEALED, ALERT, "\1\0", 2, 100, {LB_END_EOF, 0, NULL}},
    {"a fatal alert", SEALED, ALERT, "\2\x50", 2, 0, {LB_END_RESET, 0, "alert-internal-error"}},
    {"a warning", SEALED, ALERT, "\1\x64", 2, 0, {LB_END_RESET, 0, "alert-no-renegotiation"}},
    {"an unknown alert", SEALED, ALERT, "\2\xff", 2, 0, {LB_END_RESET, 0, "alert-unknown"}},
    {"an alert too short", SEALED, ALERT, "\1", 1, 0, FAILS("unexpected-message")},
    {"an alert too long", SEALED, ALERT, "\1\0\0", 3, 0, FAILS("unexpected-message")},
    {"an empty alert", SEALED, ALERT, "", 0, 3, FAILS("unexpected-message")},
    {"nothing but padding", SEALED, 0, "", 0, 10, FAILS("unexpected-message")},
    {"nothing", SEALED, 0, "", 0, 0, FAILS("unexpected-message")},
    {"too much content", SEALED, CONTENT, NULL, FULL + 1, 0, FAILS("record-overflow")},
    {"far too much content", SEALED, CONTENT, NULL, FULL + 239, 0, FAILS("record-overflow")},
    {"a record too large", SEALED, CONTENT, NULL, FULL, BODY_MOST - FULL - TAG,
     FAILS("record-overflow")},
    {"an unknown type", SEALED, 24, "x", 1, 0, FAILS("unexpected-message")},
    {"a hidden change of ciphers", SEALED, 20, "\1", 1, 0, FAILS("unexpected-message")},
    {"a body too large", RAW, CONTENT, "\3\3", BODY_MOST + 1, 0, FAILS("record-overflow")},
    {"a body far too large", RAW, CONTENT, "\3\3", 0xffff, 0, FAILS("record-overflow")},
    {"a largest body", RAW, CONTENT, "\3\3", BODY_MOST, 0, FAILS("bad-record-mac")},
    {"a least body", RAW, CONTENT, "\3\3", TAG + 1, 0, FAILS("bad-record-mac")},
    {"a body too small", RAW, CONTENT, "\3\3", TAG, 0, FAILS("bad-record-mac")},
    {"no body", RAW, CONTENT, "\3\3", 0, 0, FAILS("bad-record-mac")},
    {"an older version", RAW, CONTENT, "\3\1", 20, 0, FAILS("decode-error")},
    {"no version", RAW, CONTENT, "\4\3", 20, 0, FAILS("protocol-version")},
    {"a change of ciphers", RAW, 20, "\3\3", 1, 0, FAILS("unexpected-message")},
    {"an alert in the open", RAW, ALERT, "\3\3", 2, 0, FAILS("unexpected-message")},
    {"two updates", SEALED, HANDSHAKE, "\x18\0\0\1\0\x18\0\0\1\0", 10, 0,
     FAILS("unexpected-message")},
    {"an unknown update", SEALED, HANDSHAKE, "\x18\0\0\1\2", 5, 0, FAILS("illegal-parameter")},
    {"an update too long", SEALED, HANDSHAKE, "\x18\0\0\2\0\0", 6, 0, FAILS("illegal-parameter")},
    {"an update too short", SEALED, HANDSHAKE, "\x18\0\0\0", 4, 0, FAILS("decode-error")},
    {"a second hello", SEALED, HANDSHAKE, "\1\0\0\1\0", 5, 0, FAILS("unexpected-message")},
    {"a ticket", SEALED, HANDSHAKE, "\4\0\0\1\0", 5, 0, FAILS("unexpected-message")},
    {"a certificate", SEALED, HANDSHAKE, "\xb\0\0\1\0", 5, 0, FAILS("unexpected-message")},
    {"a request for a certificate", SEALED, HANDSHAKE, "\xd\0\0\1\0", 5, 0,
     FAILS("unexpected-message")},
    {"a second end of the handshake", SEALED, HANDSHAKE, "\x14\0\0\1\0", 5, 0,
     FAILS("unexpected-message")},
    {"an end of early data", SEALED, HANDSHAKE, "\5\0\0\0", 4, 0, FAILS("unexpected-message")},
    {"a message of 16 MiB", SEALED, HANDSHAKE, "\xb\xff\xff\xff\0", 5, 0,
     FAILS("unexpected-message")},
    {"an update of 16 MiB", SEALED, HANDSHAKE, "\x18\xff\xff\xff\0", 5, 0,
     FAILS("illegal-parameter")},
    {"an update and a part of one", SEALED, HANDSHAKE, "\x18\0\0\1\0\x18", 6, 0,
     FAILS("unexpected-message")},
    {"an empty message", SEALED, HANDSHAKE, "", 0, 0, FAILS("unexpected-message")},
#undef FAILS
};

static void each_kind_of_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) * REPLAY_SUITES; i++) {
        const size_t kind = i / REPLAY_SUITES, size = kinds[kind].size;
        const char *bytes = kinds[kind].bytes;
        struct forger forger;

        forger_begin(&forger, &clients[i % REPLAY_SUITES]);
        content(&forger, 10);
        if (kinds[kind].form == RAW)
            forge_raw(&forger, kinds[kind].type, (unsigned)(bytes[0] << 8 | bytes[1]), size);
        else
            forge(&forger, kinds[kind].type, bytes ? (const void *)bytes : payload(size), size,
                  kinds[kind].padding);
        forge(&forger, CONTENT, "behind", 6, 0);
        check(&clients[i % REPLAY_SUITES], &forger, kinds[kind].name, 10, &kinds[kind].verdict);
        forger_end(&forger);
    }
}

/* ---- one after the other --------------------------------------------------------------------- */

static void sizes(struct forger *forger)
{
    static const size_t each[] = {1, 2, 15, 16, 17, 1400, FULL - 1, FULL};

    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
        content(forger, each[i]);
}

static void padding(struct forger *forger)
{
    forge(forger, CONTENT, payload(10), 10, 1);
    forge(forger, CONTENT, payload(10), 10, FULL);
    forge(forger, CONTENT, payload(FULL), FULL, BODY_MOST - TAG - FULL - 1);
}

static void empty_records(struct forger *forger, unsigned count)
{
    while (count-- > 0)
        forge(forger, CONTENT, NULL, 0, count % 3);
}

static void some_empty_records(struct forger *forger)
{
    for (int i = 0; i < 3; i++) {
        empty_records(forger, 32);
        content(forger, 10);
    }
}

static void too_many_empty_records(struct forger *forger)
{
    some_empty_records(forger);
    empty_records(forger, 33);
}

static void warnings(struct forger *forger, unsigned count)
{
    while (count-- > 0)
        forge(forger, ALERT, "\1\x5a", 2, 0);
}

static void some_warnings(struct forger *forger)
{
    for (int i = 0; i < 3; i++) {
        warnings(forger, 4);
        content(forger, 10);
    }
}

static void too_many_warnings(struct forger *forger)
{
    some_warnings(forger);
    warnings(forger, 5);
}

static void new_keys(struct forger *forger)
{
    for (int i = 0; i < 10; i++) {
        forge_update(forger, i % 2);
        if (i % 3 > 0)
            content(forger, 10);
    }
}

static void new_keys_in_parts(struct forger *forger)
{
    content(forger, 10);
    for (size_t i = 0; i < 5; i++)
        forge(forger, HANDSHAKE, &"\x18\0\0\1\1"[i], 1, i);
    forge_next_keys(forger);
    content(forger, 10);
}

static void old_keys(struct forger *forger)
{
    content(forger, 10);
    forge(forger, HANDSHAKE, "\x18\0\0\1\0", 5, 0);
}

static void too_many_new_keys(struct forger *forger)
{
    content(forger, 10);
    for (int i = 0; i < 70; i++)
        forge_update(forger, i % 2);
}

/* What came with them doesn't count for those that come behind it. */
static void too_many_new_keys_behind_content(struct forger *forger)
{
    content(forger, FULL);
    for (int i = 0; i < 70; i++)
        forge_update(forger, true);
}

/* As often as that is paid for. */
static void many_new_keys(struct forger *forger)
{
    for (int i = 0; i < 20; i++) {
        for (int update = 0; update < 4; update++)
            forge_update(forger, update % 2);
        content(forger, FULL);
    }
}

static void new_keys_behind_the_end(struct forger *forger)
{
    content(forger, 10);
    forge_end(forger);
    forge_update(forger, true);
    content(forger, 10);
}

/* As Java's TLS closes. */
static void canceled(struct forger *forger)
{
    content(forger, 10);
    warnings(forger, 1);
}

static void end_in_a_message(struct forger *forger)
{
    content(forger, 10);
    forge(forger, HANDSHAKE, "\x18\0", 2, 0);
}

static void content_in_a_message(struct forger *forger)
{
    content(forger, 10);
    forge(forger, HANDSHAKE, "\x18\0", 2, 0);
    content(forger, 20);
}

static void nothing_in_a_message(struct forger *forger)
{
    content(forger, 10);
    forge(forger, HANDSHAKE, "\x18\0", 2, 0);
    empty_records(forger, 1);
}

static const struct {
    const char *name;
    void (*make)(struct forger *forger);
    size_t plain;
    struct lb_verdict verdict;
} sequences[] = {
#define MADE(make) #make, make
    {MADE(sizes), 1 + 2 + 15 + 16 + 17 + 1400 + FULL - 1 + FULL, {LB_END_EOF, 0, NULL}},
    {MADE(padding), 20 + FULL, {LB_END_EOF, 0, NULL}},
    {MADE(some_empty_records), 30, {LB_END_EOF, 0, NULL}},
    {MADE(too_many_empty_records), 30, {LB_END_ERROR, 0, "unexpected-message"}},
    {MADE(some_warnings), 30, {LB_END_EOF, 0, NULL}},
    {MADE(too_many_warnings), 30, {LB_END_ERROR, 0, "unexpected-message"}},
    {MADE(new_keys), 60, {LB_END_EOF, 0, NULL}},
    {MADE(new_keys_in_parts), 20, {LB_END_EOF, 0, NULL}},
    {MADE(old_keys), 10, {LB_END_ERROR, 0, "bad-record-mac"}},
    {MADE(too_many_new_keys), 10, {LB_END_LIMIT, 0, "key-updates"}},
    {MADE(too_many_new_keys_behind_content), FULL, {LB_END_LIMIT, 0, "key-updates"}},
    {MADE(many_new_keys), 20 * FULL, {LB_END_EOF, 0, NULL}},
    {MADE(new_keys_behind_the_end), 10, {LB_END_EOF, 0, NULL}},
    {MADE(canceled), 10, {LB_END_EOF, 0, NULL}},
    {MADE(end_in_a_message), 10, {LB_END_ERROR, 0, "unexpected-message"}},
    {MADE(content_in_a_message), 10, {LB_END_ERROR, 0, "unexpected-message"}},
    {MADE(nothing_in_a_message), 10, {LB_END_ERROR, 0, "unexpected-message"}},
#undef MADE
};

/* With an end, and bytes behind it. */
static void sequences_of_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]) * REPLAY_SUITES; i++) {
        const size_t sequence = i / REPLAY_SUITES;
        struct forger forger;

        forger_begin(&forger, &clients[i % REPLAY_SUITES]);
        sequences[sequence].make(&forger);
        forge_end(&forger);
        content(&forger, 10);
        check(&clients[i % REPLAY_SUITES], &forger, sequences[sequence].name,
              sequences[sequence].plain, &sequences[sequence].verdict);
        forger_end(&forger);
    }
}

/* ---- who doesn't hear ---------------------------------------------------------------- */

/* Some are answered; what more waits for him would be without bound. */
static void answers_that_nobody_reads(void **state)
{
    static const struct {
        size_t unread;
        bool requested;
        struct lb_verdict verdict;
    } cases[] = {
        {0, true, {LB_END_EOF, 0, NULL}},
        {LB_WIRE_QUEUE_MAX, true, {LB_END_EOF, 0, NULL}},
        {LB_WIRE_QUEUE_MAX + FULL + 100, false, {LB_END_EOF, 0, NULL}},
        {LB_WIRE_QUEUE_MAX + FULL - 100, true, {LB_END_LIMIT, 0, "unread-answers"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct replay_cut cut = {.unread = cases[i].unread};
        const struct replay_outcome *outcome;
        struct forger forger;

        forger_begin(&forger, &clients[0]);
        content(&forger, 10); /* which the sink answers */
        for (int update = 0; update < 10; update++)
            forge_update(&forger, cases[i].requested);
        forge_end(&forger);
        outcome = compare(&clients[0], &forger, &cut);
        assert_int_equal(outcome->verdict.end, cases[i].verdict.end);
        assert_int_equal(outcome->unanswered, 0);
        if (cases[i].verdict.why)
            assert_string_equal(outcome->verdict.why, cases[i].verdict.why);
        forger_end(&forger);
    }
}

/* He has sent all of it before, or it was damaged before. */
static void answers_to_one_who_has_gone(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct replay_cut cut = {.pieces = {1}, .count = i / 2, .gone = true};
        const bool damaged = i % 2;
        const struct replay_outcome *outcome;
        struct forger forger;

        forger_begin(&forger, &clients[0]);
        content(&forger, 10);
        forge_update(&forger, true);
        content(&forger, 10);
        if (damaged)
            forge_raw(&forger, CONTENT, TLS1_2_VERSION, 100);
        forge_end(&forger);
        outcome = compare(&clients[0], &forger, &cut);
        assert_int_equal(outcome->plain_size, 20);
        assert_int_equal(outcome->verdict.end, damaged ? LB_END_ERROR : LB_END_EOF);
        if (damaged)
            assert_string_equal(outcome->verdict.why, "bad-record-mac");
        forger_end(&forger);
    }
}

/* ---- everywhere ------------------------------------------------------------------------------ */

/* Of all kinds that may follow each other, short, with an end. */
static void compose(struct forger *forger, const struct replay_client *client)
{
    forger_begin(forger, client);
    content(forger, 40);
    forge_update(forger, true);
    empty_records(forger, 1);
    warnings(forger, 1);
    forge(forger, CONTENT, payload(20), 20, 5);
    content(forger, 30);
    forge_end(forger);
}

/* From one place to the next. */
static size_t step(void)
{
    return scale_count(1, 11);
}

static void split_everywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REPLAY_SUITES; i++) {
        struct forger forger;

        compose(&forger, &clients[i]);
        for (size_t at = 1; at < forger.size; at += step()) {
            const struct replay_cut cut = {.pieces = {at, forger.size - at}, .count = 2};
            const struct replay_outcome *outcome = compare(&clients[i], &forger, &cut);

            assert_int_equal(outcome->verdict.end, LB_END_EOF);
            assert_int_equal(outcome->plain_size, 90);
        }
        forger_end(&forger);
    }
}

static void cut_everywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REPLAY_SUITES; i++) {
        struct forger forger;
        size_t size;

        compose(&forger, &clients[i]);
        size = forger.size;
        for (forger.size = 0; forger.size < size; forger.size += step())
            assert_int_equal(compare(&clients[i], &forger, &whole)->verdict.end, LB_END_TRUNCATED);
        forger_end(&forger);
    }
}

/* And nothing of a damaged record is passed on. */
static void damaged_everywhere(void **state)
{
    static uint8_t plain[90];

    (void)state;
    for (unsigned i = 0; i < REPLAY_SUITES; i++) {
        struct forger forger;

        compose(&forger, &clients[i]);
        memcpy(plain, compare(&clients[i], &forger, &whole)->plain, sizeof(plain));
        for (size_t at = 0; at < forger.size; at += step()) {
            const uint8_t change = (uint8_t)(1 << at % 8);
            const struct replay_outcome *outcome;

            forger.bytes[at] ^= change;
            outcome = compare(&clients[i], &forger, at % 2 ? &whole : &byte_by_byte);
            assert_int_not_equal(outcome->verdict.end, LB_END_EOF);
            assert_true(outcome->plain_size <= sizeof(plain));
            assert_memory_equal(outcome->plain, plain, outcome->plain_size);
            forger.bytes[at] ^= change;
        }
        forger_end(&forger);
    }
}

/* Large records, so that pieces end anywhere in them. */
static void by_dice(void **state)
{
    const char *only = getenv("LASTBYTE_TEST_SEED");
    const uint64_t first = only ? strtoull(only, NULL, 0) : 1;
    const uint64_t runs = only ? 1 : scale_count(400, 60);

    (void)state;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        struct dice dice = dice_of_seed(seed);
        const struct replay_client *client = &clients[dice_below(&dice, REPLAY_SUITES)];
        struct replay_cut cut = {
            .pieces = {1 + dice_below(&dice, 5000), 1 + dice_below(&dice, 65536)}, .count = 2};
        const struct replay_outcome *outcome;
        struct forger forger;
        const char *why;

        forger_begin(&forger, client);
        forge_by_dice(&forger, &dice);
        why = replay_compare(client, forger.bytes, forger.size, &cut, &outcome);
        if (why)
            fail_msg("LASTBYTE_TEST_SEED=%" PRIu64 ": %s", seed, why);
        forger_end(&forger);
    }
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* None comes twice under one key, whatever a peer sends; and no key outlasts its stream. */
static void the_last_number(void **state)
{
    static const struct lb_tls_records none;
    struct lb_tls_records records = {.part = NULL};
    struct lb_tls_piece piece;
    struct forger forger;
    uint8_t made[LB_TLS_RECORD_MOST];
    size_t size;

    (void)state;
    forger_begin(&forger, &clients[0]);
    lb_tls_records_learn(&records, clients[0].secret);
    assert_int_equal(lb_tls_records_begin(&records, clients[0].ssl), 0);
    assert_non_null(records.cipher);
    records.sequence = forger.sequence = UINT64_MAX - 1;
    content(&forger, 10);
    content(&forger, 10);
    piece = (struct lb_tls_piece){forger.bytes, forger.size};
    assert_int_equal(lb_tls_records_next(&records, &piece, made, &size), LB_TLS_CONTENT);
    assert_int_equal(size, 10);
    assert_int_equal(lb_tls_records_next(&records, &piece, made, &size), LB_TLS_REFUSED);
    assert_memory_not_equal(&records.secret, &none.secret, sizeof(none.secret));
    lb_tls_records_done(&records);
    assert_memory_equal(&records, &none, sizeof(none));
    forger_end(&forger);
}

/* Then libssl reads. */
static void secrets_that_are_none(void **state)
{
    static const char *const lines[] = {
        "CLIENT_RANDOM 00 00",
        "CLIENT_TRAFFIC_SECRET_0 00 0011",
        "CLIENT_TRAFFIC_SECRET_0 00 xx",
        "CLIENT_TRAFFIC_SECRET_0 00 ",
        "CLIENT_TRAFFIC_SECRET_0 ",
        "EXPORTER_SECRET 0 0000000000000000000000000000000000000000000000000000000000000000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct lb_tls_records records = {.part = NULL};

        lb_tls_records_learn(&records, lines[i]);
        assert_int_equal(lb_tls_records_begin(&records, clients[0].ssl), 0);
        assert_null(records.cipher);
        lb_tls_records_done(&records);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_record),       cmocka_unit_test(sequences_of_records),
        cmocka_unit_test(answers_that_nobody_reads), cmocka_unit_test(answers_to_one_who_has_gone),
        cmocka_unit_test(split_everywhere),          cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(damaged_everywhere),        cmocka_unit_test(by_dice),
        cmocka_unit_test(the_last_number),           cmocka_unit_test(secrets_that_are_none),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
