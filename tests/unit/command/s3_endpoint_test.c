/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/endpoint.c: where the bucket stands, what is looked up, what is refused. */
#include "tools/command/s3/endpoint.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char asked[300];          /* the name that was looked up last */
static const char *found_at;     /* the address that every name has; NULL: none has any */
static struct s3_endpoint found; /* the last */

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    snprintf(asked, sizeof(asked), "%s", name);
    return found_at ? __real_getaddrinfo(found_at, service, hints, result) : EAI_NONAME;
}

static int open_at(const char *endpoint, const char *bucket, struct lb_error *error)
{
    *error = (struct lb_error){LB_ERROR_INIT};
    if (endpoint)
        setenv("AWS_ENDPOINT_URL", endpoint, 1);
    else
        unsetenv("AWS_ENDPOINT_URL");
    return s3_endpoint_open(&found, bucket, "eu-central-1", error);
}

static void expect(const char *endpoint, const char *bucket, const char *url, const char *path,
                   const char *name)
{
    struct lb_error error;

    if (open_at(endpoint, bucket, &error))
        fail_msg("%s: %s", endpoint, error.text);
    assert_string_equal(url, found.url);
    assert_string_equal(strstr(url, "://") + 3, found.authority);
    assert_string_equal(path, found.path);
    assert_string_equal(name, asked);
    s3_endpoint_close(&found);
}

/* A file that is there on every machine; what is in it shows only when it is used. */
static int set_certificates(void **state)
{
    (void)state;
    return setenv("AWS_CA_BUNDLE", "/etc/passwd", 1);
}

static int set_up(void **state)
{
    (void)state;
    found_at = "192.0.2.7";
    return 0;
}

/* ---- where the bucket stands ----------------------------------------------------------------- */

static void before_the_host_where_that_is_a_name(void **state)
{
    (void)state;
    expect("http://store.example", "drop", "http://drop.store.example", "", "drop.store.example");
    expect("https://store.example/", "drop", "https://drop.store.example", "",
           "drop.store.example");
    expect("http://store.example/s3/", "drop", "http://drop.store.example", "/s3",
           "drop.store.example");
    expect(NULL, "drop", "https://drop.s3.eu-central-1.amazonaws.com", "",
           "drop.s3.eu-central-1.amazonaws.com");
}

static void in_the_path_where_there_is_a_port(void **state)
{
    (void)state;
    expect("http://store.example:9000", "drop", "http://store.example:9000", "/drop",
           "store.example");
    /* That of the scheme stands in no header. */
    expect("https://store.example:443/s3", "drop", "https://store.example", "/s3/drop",
           "store.example");
    expect("http://store.example:80", "drop", "http://store.example", "/drop", "store.example");
}

static void in_the_path_where_the_host_is_an_address(void **state)
{
    (void)state;
    expect("http://192.0.2.7", "drop", "http://192.0.2.7", "/drop", "192.0.2.7");
    found_at = "2001:db8::7";
    expect("http://[2001:db8::7]", "drop", "http://[2001:db8::7]", "/drop", "2001:db8::7");
    expect("http://[2001:db8::7]:81", "drop", "http://[2001:db8::7]:81", "/drop", "2001:db8::7");
}

/* A certificate for *.store.example is none for a.b.store.example. */
static void in_the_path_where_tls_would_not_hold(void **state)
{
    (void)state;
    expect("https://store.example", "my.drop", "https://store.example", "/my.drop",
           "store.example");
    expect("http://store.example", "my.drop", "http://my.drop.store.example", "",
           "my.drop.store.example");
}

/* ---- what is looked up ----------------------------------------------------------------------- */

static void its_addresses_are_kept(void **state)
{
    struct lb_error error;

    (void)state;
    assert_int_equal(0, open_at("http://store.example", "drop", &error));
    assert_string_equal("drop.store.example:80:192.0.2.7", found.addresses->data);
    assert_null(found.addresses->next);
    assert_true(found.remote);
    s3_endpoint_close(&found);
    found_at = "::1";
    assert_int_equal(0, open_at("http://store.example:9000", "drop", &error));
    assert_string_equal("store.example:9000:[::1]", found.addresses->data);
    assert_false(found.remote);
    s3_endpoint_close(&found);
}

static void a_name_without_an_address(void **state)
{
    struct lb_error error;

    (void)state;
    found_at = NULL;
    assert_int_equal(-EHOSTUNREACH, open_at("http://store.example", "drop", &error));
    assert_non_null(strstr(error.text, "drop.store.example has no address"));
}

static void what_is_no_endpoint(void **state)
{
    static const char *const wrong[] = {
        "store.example:x",           "ftp://store.example",     "http://",
        "http://store.example/?a=b", "http://store.example/#a", "http://me@store.example"};
    struct lb_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(-EINVAL, open_at(wrong[i], "drop", &error));
        assert_non_null(strstr(error.text, "AWS_ENDPOINT_URL"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(before_the_host_where_that_is_a_name, set_up),
        cmocka_unit_test_setup(in_the_path_where_there_is_a_port, set_up),
        cmocka_unit_test_setup(in_the_path_where_the_host_is_an_address, set_up),
        cmocka_unit_test_setup(in_the_path_where_tls_would_not_hold, set_up),
        cmocka_unit_test_setup(its_addresses_are_kept, set_up),
        cmocka_unit_test_setup(a_name_without_an_address, set_up),
        cmocka_unit_test_setup(what_is_no_endpoint, set_up),
    };

    return cmocka_run_group_tests(tests, set_certificates, NULL);
}
