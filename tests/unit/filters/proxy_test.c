/* SPDX-License-Identifier: MIT */
/* The filter proxy, by scripts: what it waits for, what it leaves to the stream, and who has
 * nothing to do with it. */
#include "unit.h"

#include "filters.h"
#include "front.h"
#include "peer.h"
#include "script_asserts.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { BEHIND = 10 }; /* bytes of the stream */

/* What the first peer sends: header and what is behind, cut there. */
static uint8_t bytes[FRONT_HEADER_MAX];
static size_t header, cut;
static const char *named;

static const char *const unix_fronts[] = {"unix", NULL}, *const others[] = {"192.0.2.0/24", NULL};
static const struct lb_config of_unix = {.proxy_protocol = unix_fronts};
static const struct lb_config of_others = {.proxy_protocol = others};

static void send_part(struct script *script, size_t from, size_t to)
{
    if (send(script_peer(script), bytes + from, to - from, MSG_NOSIGNAL) != (ssize_t)(to - from))
        script_violate(script, "a peer can't send");
}

static void sends_the_first(struct script *script)
{
    send_part(script, 0, cut);
}

static void sends_the_rest(struct script *script)
{
    send_part(script, cut, header + BEHIND);
}

static void sends_all(struct script *script)
{
    send_part(script, 0, header + BEHIND);
}

static void sends_the_header(struct script *script)
{
    send_part(script, 0, header);
}

static void sends_a_byte(struct script *script)
{
    send_part(script, header, header + 1);
}

static void leaves(struct script *script)
{
    shutdown(script_peer(script), SHUT_WR);
}

/* Its stream begins, and all that is behind the header is still there. */
static void is_named(struct script *script)
{
    const struct lb_stream *stream = script_stream(script);
    char name[LB_PEER_SIZE];

    lb_peer_name(&stream->peer, name);
    if (strncmp(name, named, strlen(named)) != 0)
        script_violate(script, "it is %s, not %s", name, named);
    if (script_unread(script, 1) != BEHIND)
        script_violate(script, "%zu bytes are left", script_unread(script, 1));
}

static void use(size_t size, const char *name)
{
    header = size;
    named = name;
    for (size_t i = 0; i < BEHIND; i++)
        bytes[size + i] = script_byte(1, i);
}

static void use_text(void)
{
    use(front_text(bytes, "192.0.2.7", 4711), "192.0.2.7:4711");
}

static void use_binary(void)
{
    size_t size = front_binary(bytes, "2001:db8::7", 4711);

    size = front_add(bytes, size, 4, "tlv", 3);
    use(front_add_sum(bytes, size), "[2001:db8::7]:4711");
}

static void begin(struct rig *rig, const struct lb_config *config)
{
    assert_int_equal(rig_init(rig, (struct script_options){.filters = {&lb_filter_proxy},
                                                           .config = config,
                                                           .handshake_ms = 1000000,
                                                           .max_handshakes = 1}),
                     0);
    /* It never sees the stream's bytes: they may be spliced, and placed. */
    assert_false(rig->script.rules.filtered);
}

static void assert_stats(const struct rig *rig, uint64_t streams, uint64_t failed)
{
    assert_int_equal(rig->script.stats.streams, streams);
    assert_int_equal(rig->script.stats.failed_preludes, failed);
    assert_int_equal(rig->script.stats.refused, failed);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void assert_whole(struct rig *rig)
{
    begin(rig, &of_unix);
    ASSERT_LOG(rig, "open1 receive1 write1:10 back1 end1:eof forget1 ", ACCEPT, CALL(sends_all),
               TURN, CALL(is_named), DATA(1, 100), TURN, EOF_OF(1), TURN, STOP);
    assert_stats(rig, 1, 0);
}

static void a_line_that_is_there(void **state)
{
    use_text();
    assert_whole(*state);
}

static void a_binary_that_is_there(void **state)
{
    use_binary();
    assert_whole(*state);
}

/* Each with a rig of its own: cut at every byte. */
static void assert_cut_anywhere(void)
{
    for (cut = 0; cut < header + BEHIND; cut++) {
        bool over = cut >= header;
        void *rig;

        assert_int_equal(rig_setup(&rig), 0);
        begin(rig, &of_unix);
        if (over)
            ASSERT_LOG(rig, "await1 open1 receive1 write1:10 back1 end1:eof forget1 ", ACCEPT, TURN,
                       CALL(sends_the_first), READABLE(1, 0), TURN, CALL(sends_the_rest),
                       CALL(is_named), DATA(1, 100), EOF_OF(1), TURN, STOP);
        else
            ASSERT_LOG(rig, "await1 await1 open1 receive1 write1:10 back1 end1:eof forget1 ",
                       ACCEPT, TURN, CALL(sends_the_first), READABLE(1, 0), TURN,
                       CALL(sends_the_rest), READABLE(1, 0), TURN, CALL(is_named), DATA(1, 100),
                       EOF_OF(1), TURN, STOP);
        assert_stats(rig, 1, 0);
        rig_teardown(&rig);
    }
}

static void a_line_cut_anywhere(void **state)
{
    (void)state;
    use_text();
    assert_cut_anywhere();
}

static void a_binary_cut_anywhere(void **state)
{
    (void)state;
    use_binary();
    assert_cut_anywhere();
}

/* Longer than what is looked at at once. */
static void a_long_one(void **state)
{
    static const uint8_t zeros[3000];

    use(front_add(bytes, front_binary(bytes, "192.0.2.7", 1), 4, zeros, sizeof(zeros)),
        "192.0.2.7:1");
    assert_whole(*state);
}

static void nobody_is_named(void **state)
{
    use(front_make(bytes, FRONT_PROXY, 0, NULL, 0), "unix:");
    assert_whole(*state);
}

/* ---- health checks --------------------------------------------------------------------------- */

static void nothing_comes(void **state)
{
    begin(*state, &of_unix);
    ASSERT_LOG(*state, "await1 forget1 ", ACCEPT, TURN, CALL(leaves), READABLE(1, 0), TURN, STOP);
    assert_stats(*state, 0, 0);
}

static void assert_nothing(struct rig *rig)
{
    begin(rig, &of_unix);
    ASSERT_LOG(rig, "await1 forget1 ", ACCEPT, CALL(sends_the_header), TURN, CALL(leaves),
               READABLE(1, 0), TURN, STOP);
    assert_stats(rig, 0, 0);
}

static void a_local_one_and_nothing_else(void **state)
{
    use(front_make(bytes, FRONT_LOCAL, 0, NULL, 0), "unix:");
    assert_nothing(*state);
}

/* So HAProxy checks a Unix socket. */
static void an_unknown_one_and_nothing_else(void **state)
{
    use(strlen(strcpy((char *)bytes, "PROXY UNKNOWN\r\n")), "unix:");
    assert_nothing(*state);
}

static void a_local_one_and_a_stream(void **state)
{
    use(front_make(bytes, FRONT_LOCAL, 0, NULL, 0), "unix:");
    begin(*state, &of_unix);
    ASSERT_LOG(*state, "await1 open1 receive1 write1:1 back1 end1:eof forget1 ", ACCEPT,
               CALL(sends_the_header), TURN, CALL(sends_a_byte), READABLE(1, 0), TURN, DATA(1, 100),
               TURN, EOF_OF(1), TURN, STOP);
    assert_stats(*state, 1, 0);
}

/* Of somebody else it is a stream, and an empty one. */
static void a_header_and_nothing_else(void **state)
{
    use_text();
    begin(*state, &of_unix);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", ACCEPT, CALL(sends_the_header),
               CALL(leaves), TURN, EOF_OF(1), TURN, STOP);
    assert_stats(*state, 1, 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void cut_off(void **state)
{
    struct rig *rig = *state;

    use_text();
    cut = header - 1;
    begin(rig, &of_unix);
    ASSERT_LOG(rig, "await1 await1 forget1 ", ACCEPT, TURN, CALL(sends_the_first), READABLE(1, 0),
               TURN, CALL(leaves), READABLE(1, 0), TURN, STOP);
    assert_stats(rig, 0, 1);
    assert_non_null(strstr(rig->script.notes, "turned away (proxy: cut off)"));
}

static void no_header(void **state)
{
    struct rig *rig = *state;

    use(0, "");
    begin(rig, &of_unix);
    ASSERT_LOG(rig, "forget1 ", ACCEPT, CALL(sends_all), TURN, STOP);
    assert_stats(rig, 0, 1);
    assert_non_null(strstr(rig->script.notes, "turned away (proxy: no PROXY header)"));
}

/* ---- others ---------------------------------------------------------------------------------- */

/* What a stranger sends is his stream, and he needs nobody's turn. */
static void a_peer_that_is_no_front(void **state)
{
    struct rig *rig = *state;

    begin(rig, &of_others);
    rig->script.door.gate.max_entering = 0;
    use(0, "unix:");
    ASSERT_LOG(rig, "open1 receive1 write1:10 back1 end1:eof forget1 ", ACCEPT, CALL(sends_all),
               TURN, CALL(is_named), DATA(1, 100), TURN, EOF_OF(1), TURN, STOP);
    assert_stats(rig, 1, 0);
}

static void whom_it_expects(void **state)
{
    static const char *const lists[] = {"192.0.2.0/24", "2001:db8::/32", "unix", NULL};
    const struct lb_config config = {.proxy_protocol = lists}, none = {.proxy_protocol = lists + 3},
                           bad = {.proxy_protocol = (const char *[]){"unix", "nowhere", NULL}};
    struct lb_error error = {LB_ERROR_INIT};
    const void *settings = NULL;
    union lb_peer peer = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207)}};

    (void)state;
    assert_int_equal(lb_filter_proxy.settle(&none, &settings, NULL), 0);
    assert_null(settings);
    assert_int_equal(lb_filter_proxy.settle(&(struct lb_config){0}, &settings, NULL), 0);
    assert_null(settings);
    assert_int_equal(lb_filter_proxy.settle(&bad, &settings, &error), -EINVAL);
    assert_null(settings);
    assert_non_null(strstr(error.text, "nowhere: not a network"));
    assert_int_equal(lb_filter_proxy.settle(&config, &settings, NULL), 0);
    assert_true(lb_filter_proxy.expects(settings, &peer));
    peer.in.sin_addr.s_addr = htonl(0xc0000307);
    assert_false(lb_filter_proxy.expects(settings, &peer));
    assert_true(lb_filter_proxy.expects(settings, &(union lb_peer){.family = AF_UNIX}));
    /* Who has reset already may be one of them. */
    assert_true(lb_filter_proxy.expects(settings, &(union lb_peer){.family = AF_UNSPEC}));
    lb_filter_proxy.release(settings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_that_is_there),
        TEST(a_binary_that_is_there),
        cmocka_unit_test(a_line_cut_anywhere),
        cmocka_unit_test(a_binary_cut_anywhere),
        TEST(a_long_one),
        TEST(nobody_is_named),
        TEST(nothing_comes),
        TEST(a_local_one_and_nothing_else),
        TEST(an_unknown_one_and_nothing_else),
        TEST(a_local_one_and_a_stream),
        TEST(a_header_and_nothing_else),
        TEST(cut_off),
        TEST(no_header),
        TEST(a_peer_that_is_no_front),
        cmocka_unit_test(whom_it_expects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
