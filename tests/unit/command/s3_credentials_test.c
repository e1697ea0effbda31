/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/credentials.c: where they are looked for, and what is left of them. */
#include "tools/command/s3/credentials.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/lastbyte-test-XXXXXX";

static const char shared[] = "# ours\r\n"
                             "[default]\n"
                             "aws_access_key_id = AKD\n"
                             "aws_secret_access_key=SKD/+=\n"
                             "[ other ]\n"
                             "  aws_access_key_id\t=\tAKO  \r\n"
                             "; no\n"
                             "aws_secret_access_key = SKO\n"
                             "aws_session_token = TOKEN==\n"
                             "region = nowhere-1\n"
                             "[half]\n"
                             "aws_access_key_id = AKH\n"
                             "[bad]\n"
                             "aws_access_key_id = A K\n"
                             "aws_secret_access_key = SK";

static int set_up(void **state)
{
    FILE *file = fdopen(mkstemp(path), "w");

    (void)state;
    fputs(shared, file);
    return fclose(file);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static int clear(void **state)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",  "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",  "AWS_REGION",
                                        "AWS_DEFAULT_REGION", "AWS_PROFILE"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
}

static void expect(const char *access_key, const char *secret, const char *token,
                   const char *region)
{
    struct lb_error error = {LB_ERROR_INIT};
    struct s3_credentials *credentials;

    if (s3_credentials_open(&credentials, &error))
        fail_msg("%s", error.text);
    assert_string_equal(access_key, credentials->access_key);
    assert_string_equal(secret, credentials->secret);
    assert_string_equal(token, credentials->token);
    assert_string_equal(region, credentials->region);
    s3_credentials_close(credentials);
}

static void refuse(int code, const char *part)
{
    struct lb_error error = {LB_ERROR_INIT};
    struct s3_credentials *credentials;

    assert_int_equal(code, s3_credentials_open(&credentials, &error));
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void the_environment_comes_first(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "AKE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SKE", 1);
    setenv("AWS_PROFILE", "other", 1);
    setenv("AWS_REGION", "here-1", 1);
    setenv("AWS_DEFAULT_REGION", "there-1", 1);
    expect("AKE", "SKE", "", "here-1");
}

static void and_keeps_nothing(void **state)
{
    char secret[] = "AWS_SECRET_ACCESS_KEY=SKE-to-be-wiped";

    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "AKE", 1);
    setenv("AWS_SESSION_TOKEN", "T", 1);
    putenv(secret);
    expect("AKE", "SKE-to-be-wiped", "T", "us-east-1");
    assert_null(getenv("AWS_ACCESS_KEY_ID"));
    assert_null(getenv("AWS_SECRET_ACCESS_KEY"));
    assert_null(getenv("AWS_SESSION_TOKEN"));
    assert_string_equal("AWS_SECRET_ACCESS_KEY=", secret);
}

static void then_the_shared_file(void **state)
{
    (void)state;
    setenv("AWS_DEFAULT_REGION", "there-1", 1);
    expect("AKD", "SKD/+=", "", "there-1");
    setenv("AWS_PROFILE", "other", 1);
    expect("AKO", "SKO", "TOKEN==", "there-1");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    setenv("AWS_PROFILE", "nobody", 1);
    refuse(-EACCES, "section [nobody]");
    setenv("AWS_PROFILE", "half", 1);
    refuse(-EACCES, "both are needed");
    setenv("AWS_PROFILE", "bad", 1);
    refuse(-EINVAL, "profile bad");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/file", 1);
    refuse(-EACCES, "no credentials: set AWS_ACCESS_KEY_ID");
    setenv("AWS_ACCESS_KEY_ID", "with\nnewline", 1);
    refuse(-EINVAL, "AWS_ACCESS_KEY_ID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_environment_comes_first, clear),
        cmocka_unit_test_setup(and_keeps_nothing, clear),
        cmocka_unit_test_setup(then_the_shared_file, clear),
        cmocka_unit_test_setup(what_is_missing_is_named, clear),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
