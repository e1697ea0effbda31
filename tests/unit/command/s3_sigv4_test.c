/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/sigv4.c on the examples that AWS has published: those of its Signature Version 4
 * test suite, and those of "Authenticating Requests" in the API reference of S3. */
#include "tools/command/s3/sigv4.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

struct vector {
    const char *name;
    struct sigv4_request request;
    const char *names, *signature;
};

static void check(const struct sigv4_key *key, const char *stamp, const struct vector *vectors)
{
    for (; vectors->name; vectors++) {
        char authorization[SIGV4_AUTHORIZATION_SIZE], expected[SIGV4_AUTHORIZATION_SIZE];

        snprintf(expected, sizeof(expected),
                 "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, "
                 "Signature=%s",
                 key->access_key, stamp, key->region, key->service, vectors->names,
                 vectors->signature);
        assert_int_equal(0, sigv4_sign(key, &vectors->request, stamp, authorization));
        if (strcmp(authorization, expected) != 0)
            fail_msg("%s: %s, not %s", vectors->name, authorization, expected);
    }
}

static void the_test_suite_of_aws(void **state)
{
    static const char stamp[] = "20150830T123600Z", names[] = "host;x-amz-date";
    static const struct sigv4_key key = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                         "us-east-1", "service"};
    static const struct sigv4_header headers[] = {{"host", "example.amazonaws.com"},
                                                  {"x-amz-date", stamp}};
    static const struct vector vectors[] = {
        {"get-vanilla",
         {"GET", "/", "", headers, 2, EMPTY},
         names,
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-query-order-key-case",
         {"GET", "/", "Param1=value1&Param2=value2", headers, 2, EMPTY},
         names,
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-vanilla-query-unreserved",
         {"GET", "/", UNRESERVED "=" UNRESERVED, headers, 2, EMPTY},
         names,
         "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {"get-vanilla-utf8-query",
         {"GET", "/", "%E1%88%B4=bar", headers, 2, EMPTY},
         names,
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"post-vanilla",
         {"POST", "/", "", headers, 2, EMPTY},
         names,
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {0},
    };

    (void)state;
    check(&key, stamp, vectors);
}

#define HOST                                                                                       \
    {                                                                                              \
        "host", "examplebucket.s3.amazonaws.com"                                                   \
    }
#define PAYLOAD(hash)                                                                              \
    {                                                                                              \
        "x-amz-content-sha256", hash                                                               \
    }
#define STAMP "20130524T000000Z"
#define DATE                                                                                       \
    {                                                                                              \
        "x-amz-date", STAMP                                                                        \
    }

static void the_examples_of_s3(void **state)
{
    static const struct sigv4_key key = {
        "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3"};
    static const struct sigv4_header get[] = {HOST, {"range", "bytes=0-9"}, PAYLOAD(EMPTY), DATE};
    static const struct sigv4_header put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                              HOST,
                                              PAYLOAD(WELCOME),
                                              DATE,
                                              {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    static const struct sigv4_header list[] = {HOST, PAYLOAD(EMPTY), DATE};
    static const struct vector vectors[] = {
        {"GET Object",
         {"GET", "/test.txt", "", get, 4, EMPTY},
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"PUT Object",
         {"PUT", "/test%24file.text", "", put, 5, WELCOME},
         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"GET Bucket Lifecycle",
         {"GET", "/", "lifecycle=", list, 3, EMPTY},
         "host;x-amz-content-sha256;x-amz-date",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET Bucket (List Objects)",
         {"GET", "/", "max-keys=2&prefix=J", list, 3, EMPTY},
         "host;x-amz-content-sha256;x-amz-date",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
        {0},
    };

    (void)state;
    check(&key, STAMP, vectors);
}

static void what_goes_into_it(void **state)
{
    char stamp[SIGV4_STAMP_SIZE], hash[SIGV4_HEX_SIZE], text[32];

    (void)state;
    sigv4_stamp(stamp, 1440938160);
    assert_string_equal("20150830T123600Z", stamp);
    assert_int_equal(0, sigv4_hash("Welcome to Amazon S3.", 21, hash));
    assert_string_equal(WELCOME, hash);
    assert_int_equal(10, sigv4_encode(text, sizeof(text), "a/b $~", true));
    assert_string_equal("a/b%20%24~", text);
}

static void encoding_stays_in_its_room(void **state)
{
    char text[32];

    (void)state;
    assert_int_equal(14, sigv4_encode(text, sizeof(text), "a/b+\xe1\xff", false));
    assert_string_equal("a%2Fb%2B%E1%FF", text);
    assert_int_equal(-EMSGSIZE, sigv4_encode(text, 4, "abcd", false));
    assert_int_equal(-EMSGSIZE, sigv4_encode(text, 0, "", false));
}

static void what_is_too_long_is_refused(void **state)
{
    char secret[300], region[200], authorization[SIGV4_AUTHORIZATION_SIZE];
    struct sigv4_key key = {"AK", secret, "r", "s3"};
    const struct sigv4_request request = {.method = "GET", .path = "/", .query = "", .payload = ""};

    (void)state;
    memset(secret, 'x', sizeof(secret) - 1);
    secret[sizeof(secret) - 1] = '\0';
    assert_int_equal(-EMSGSIZE, sigv4_sign(&key, &request, STAMP, authorization));
    memset(region, 'x', sizeof(region) - 1);
    region[sizeof(region) - 1] = '\0';
    key = (struct sigv4_key){"AK", "SK", region, "s3"};
    assert_int_equal(-EMSGSIZE, sigv4_sign(&key, &request, STAMP, authorization));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_suite_of_aws),       cmocka_unit_test(the_examples_of_s3),
        cmocka_unit_test(what_goes_into_it),           cmocka_unit_test(encoding_stays_in_its_room),
        cmocka_unit_test(what_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
