/* SPDX-License-Identifier: MIT */
/* Addresses: every form a person may write, and what is said about the others. */
#include "unit.h"

#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- good ------------------------------------------------------------------------------------ */

static void parses_tcp(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } cases[] = {
        {":1090", "", "1090"},
        {":0", "", "0"},
        {":65535", "", "65535"},
        {"127.0.0.1:1090", "127.0.0.1", "1090"},
        {"localhost:80", "localhost", "80"},
        {"a-b.example:1", "a-b.example", "1"},
        {"*:7", "*", "7"},
        {"[::1]:1090", "::1", "1090"},
        {"[::]:0", "::", "0"},
        {"[fe80::1%eth0]:9", "fe80::1%eth0", "9"},
        {"[::ffff:127.0.0.1]:9", "::ffff:127.0.0.1", "9"},
        /* Leading zeros are digits all the same. */
        {":0080", "", "80"},
        {":0000065535", "", "65535"},
        /* Only the forms with a colon behind the word are special. */
        {"unix.example:5", "unix.example", "5"},
        {"fd.example:5", "fd.example", "5"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lb_address address;
        struct lb_error error = {LB_ERROR_INIT};

        assert_int_equal(lb_address_parse(&address, cases[i].text, &error), 0);
        assert_int_equal(address.kind, LB_ADDRESS_TCP);
        assert_string_equal(address.host, cases[i].host);
        assert_string_equal(address.port, cases[i].port);
        assert_int_equal(lb_address_check(cases[i].text, &error), 0);
        assert_string_equal(error.text, "");
    }
}

static void parses_unix_paths(void **state)
{
    static const char *const paths[] = {"/run/x.sock", "relative", "./@odd", "a:b:c", " ", "fd:3"};
    char text[200];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct lb_address address;

        snprintf(text, sizeof(text), "unix:%s", paths[i]);
        assert_int_equal(lb_address_parse(&address, text, NULL), 0);
        assert_int_equal(address.kind, LB_ADDRESS_UNIX);
        assert_int_equal(address.un.sun_family, AF_UNIX);
        assert_string_equal(address.un.sun_path, paths[i]);
        assert_int_equal(address.un_size,
                         offsetof(struct sockaddr_un, sun_path) + strlen(paths[i]) + 1);
    }
}

static void parses_abstract_names(void **state)
{
    struct lb_address address;

    (void)state;
    assert_int_equal(lb_address_parse(&address, "unix:@name@x", NULL), 0);
    assert_int_equal(address.kind, LB_ADDRESS_UNIX);
    /* The length tells where the name ends; there is no NUL behind it. */
    assert_int_equal(address.un_size, offsetof(struct sockaddr_un, sun_path) + 7);
    assert_memory_equal(address.un.sun_path, "\0name@x", 7);
}

static void takes_the_longest_path(void **state)
{
    struct lb_address address;
    char text[5 + sizeof(address.un.sun_path)];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:", 5);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(lb_address_parse(&address, text, NULL), 0);
    assert_int_equal(strlen(address.un.sun_path), sizeof(address.un.sun_path) - 1);
    assert_int_equal(address.un_size, sizeof(struct sockaddr_un));
}

static void parses_descriptors(void **state)
{
    static const struct {
        const char *text;
        int fd;
    } cases[] = {{"fd:0", 0}, {"fd:3", 3}, {"fd:007", 7}, {"fd:2147483647", INT32_MAX}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lb_address address;

        assert_int_equal(lb_address_parse(&address, cases[i].text, NULL), 0);
        assert_int_equal(address.kind, LB_ADDRESS_FD);
        assert_int_equal(address.fd, cases[i].fd);
    }
}

/* ---- bad ------------------------------------------------------------------------------------- */

static void assert_refused(const char *text, const char *remedy)
{
    struct lb_address address;
    struct lb_error error = {LB_ERROR_INIT};

    if (lb_address_parse(&address, text, &error) != -EINVAL)
        fail_msg("\"%s\" was taken", text);
    assert_int_equal(error.code, -EINVAL);
    if (!strstr(error.text, text))
        fail_msg("\"%s\" is not named by \"%s\"", text, error.text);
    if (!strstr(error.text, remedy))
        fail_msg("\"%s\" is not what \"%s\" says is right", remedy, error.text);
    assert_null(strchr(error.text, '\n'));
    /* Nobody needs to hear it. */
    assert_int_equal(lb_address_check(text, NULL), -EINVAL);
}

static void refuses_bad_forms(void **state)
{
    static const struct {
        const char *text, *remedy;
    } cases[] = {
        {"", "HOST:PORT"},
        {"1090", "HOST:PORT"},
        {"localhost", "HOST:PORT"},
        {"unix", "unix:PATH"},
        {"/run/x.sock", "unix:PATH"},
        {":", "0 to 65535"},
        {"localhost:", "0 to 65535"},
        {":65536", "0 to 65535"},
        {":99999999999", "0 to 65535"},
        {":18446744073709551617", "0 to 65535"},
        {":-1", "0 to 65535"},
        {":+80", "0 to 65535"},
        {": 80", "0 to 65535"},
        {":80 ", "0 to 65535"},
        {":0x50", "0 to 65535"},
        {":http", "0 to 65535"},
        {":80a", "0 to 65535"},
        {"[::1]:", "0 to 65535"},
        {"::", "[::1]:1090"},
        {"::1", "[::1]:1090"},
        {"::1:1090", "[::1]:1090"},
        {"fe80::1:1090", "[::1]:1090"},
        {"host:1:2", "[::1]:1090"},
        {"[::1]", "[::1]:1090"},
        {"[::1", "[::1]:1090"},
        {"[::1]1090", "[::1]:1090"},
        {"[::1:1090", "[::1]:1090"},
        {"[]:1090", "[::1]:1090"},
        {"[:1090", "[::1]:1090"},
        {"[::1]x:1090", "[::1]:1090"},
        {"unix:", "unix:/PATH"},
        {"unix:@", "unix:@NAME"},
        {"fd:", "fd:3"},
        {"fd:-1", "fd:3"},
        {"fd:x", "fd:3"},
        {"fd:3x", "fd:3"},
        {"fd: 3", "fd:3"},
        {"fd:2147483648", "fd:3"},
        {"fd:99999999999999999999", "fd:3"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(cases[i].text, cases[i].remedy);
}

static void refuses_what_is_too_long(void **state)
{
    char text[300];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:", 5);
    text[5 + sizeof(((struct sockaddr_un *)NULL)->sun_path)] = '\0';
    assert_refused(text, "at most 107 bytes");
    text[5] = '@';
    assert_refused(text, "at most 107 bytes");

    memset(text, 'h', sizeof(text));
    memcpy(text + 256, ":80", 4);
    assert_refused(text, "at most 255");
    memcpy(text + 255, ":80", 4);
    assert_int_equal(lb_address_check(text, NULL), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_inet_addresses(void **state)
{
    static const struct {
        const char *number;
        unsigned port, scope;
        const char *name;
    } cases[] = {
        {"::1", 1090, 0, "[::1]:1090"},
        {"::", 0, 0, "[::]:0"},
        {"fe80::1", 7, 3, "[fe80::1%3]:7"},
        /* An IPv4 peer of a socket for both families. */
        {"::ffff:192.0.2.7", 65535, 0, "192.0.2.7:65535"},
        {"2001:db8::1", 1, 0, "[2001:db8::1]:1"},
    };
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1090)};
    char name[LB_PEER_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)cases[i].port),
                                   .sin6_scope_id = cases[i].scope};

        assert_int_equal(inet_pton(AF_INET6, cases[i].number, &in6.sin6_addr), 1);
        lb_sockaddr_name((const struct sockaddr *)&in6, name, sizeof(name));
        assert_string_equal(name, cases[i].name);
    }
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    lb_sockaddr_name((const struct sockaddr *)&in, name, sizeof(name));
    assert_string_equal(name, "127.0.0.1:1090");
}

static void names_unix_addresses(void **state)
{
    static const char *const texts[] = {"unix:/run/x", "unix:x", "unix:@name"};
    struct sockaddr_un full = {.sun_family = AF_UNIX};
    char name[LB_UNIX_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct lb_address address;

        assert_int_equal(lb_address_parse(&address, texts[i], NULL), 0);
        lb_unix_name(&address.un, address.un_size, name, sizeof(name));
        assert_string_equal(name, texts[i]);
    }
    /* Unnamed, as the peers of a Unix socket are. */
    lb_unix_name(&full, sizeof(sa_family_t), name, sizeof(name));
    assert_string_equal(name, "unix:");
    /* The longest, with no NUL at its end. */
    memset(full.sun_path, 'x', sizeof(full.sun_path));
    lb_unix_name(&full, sizeof(full), name, sizeof(name));
    assert_int_equal(strlen(name), 5 + sizeof(full.sun_path));
    full.sun_path[0] = '\0';
    lb_unix_name(&full, sizeof(full), name, sizeof(name));
    assert_int_equal(strlen(name), 5 + sizeof(full.sun_path));
}

/* ---- the resolver ---------------------------------------------------------------------------- */

static void resolves_numbers(void **state)
{
    static const struct {
        const char *text;
        int family;
    } cases[] = {{"127.0.0.1:1090", AF_INET}, {"[::1]:1090", AF_INET6}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addrinfo *list = NULL;
        struct lb_address address;
        char name[LB_PEER_SIZE];

        assert_int_equal(lb_address_parse(&address, cases[i].text, NULL), 0);
        assert_int_equal(lb_address_resolve(&address, true, &list, NULL), 0);
        assert_int_equal(list->ai_family, cases[i].family);
        assert_int_equal(list->ai_socktype, SOCK_STREAM);
        assert_null(list->ai_next);
        lb_sockaddr_name(list->ai_addr, name, sizeof(name));
        assert_string_equal(name, cases[i].text);
        freeaddrinfo(list);
    }
}

static void names_what_does_not_resolve(void **state)
{
    struct lb_error error = {LB_ERROR_INIT};
    struct addrinfo *list = NULL;
    struct lb_address address;
    char text[80];

    (void)state;
    /* One label of more than 63 bytes fits no question (RFC 1035): nobody is asked. */
    memset(text, 'h', sizeof(text));
    memcpy(text + 70, ":80", 4);
    assert_int_equal(lb_address_parse(&address, text, NULL), 0);
    assert_int_equal(lb_address_resolve(&address, false, &list, &error), -EHOSTUNREACH);
    assert_int_equal(error.code, -EHOSTUNREACH);
    assert_non_null(strstr(error.text, address.host));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_tcp),
        cmocka_unit_test(parses_unix_paths),
        cmocka_unit_test(parses_abstract_names),
        cmocka_unit_test(takes_the_longest_path),
        cmocka_unit_test(parses_descriptors),
        cmocka_unit_test(refuses_bad_forms),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(names_inet_addresses),
        cmocka_unit_test(names_unix_addresses),
        cmocka_unit_test(resolves_numbers),
        cmocka_unit_test(names_what_does_not_resolve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
