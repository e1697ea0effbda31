/* SPDX-License-Identifier: MIT */
/* Unit tests of value.c and options.c in tools/command: what the command's options may be. */
#include "tools/command/options.h"
#include "tools/command/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNTOUCHED = 77 };

static void expect(int (*read)(const char *, uint64_t *), const char *text, int error,
                   uint64_t wanted)
{
    uint64_t value = UNTOUCHED;

    if (read(text, &value) != error || value != (error ? UNTOUCHED : wanted))
        fail_msg("\"%s\": error or value is wrong (value %llu)", text, (unsigned long long)value);
}

static void counts(void **state)
{
    (void)state;
    expect(value_count, "0", 0, 0);
    expect(value_count, "007", 0, 7);
    expect(value_count, "18446744073709551615", 0, UINT64_MAX);
    expect(value_count, "18446744073709551616", -ERANGE, 0);
    expect(value_count, "99999999999999999999999", -ERANGE, 0);
    for (const char *const *bad = (const char *const[]){"", " 1", "1 ", "+1", "-1", "0x10", "1e3",
                                                        "1.0", "1K", "one", NULL};
         *bad; bad++)
        expect(value_count, *bad, -EINVAL, 0);
}

static void sizes(void **state)
{
    (void)state;
    expect(value_size, "0", 0, 0);
    expect(value_size, "1", 0, 1);
    expect(value_size, "256K", 0, 256 << 10);
    expect(value_size, "256k", 0, 256 << 10);
    expect(value_size, "3M", 0, 3 << 20);
    expect(value_size, "3m", 0, 3 << 20);
    expect(value_size, "5G", 0, 5ULL << 30);
    expect(value_size, "5g", 0, 5ULL << 30);
    expect(value_size, "17179869183G", 0, 17179869183ULL << 30);
    expect(value_size, "17179869184G", -ERANGE, 0);
    expect(value_size, "18446744073709551616", -ERANGE, 0);
    expect(value_size, "2T", 0, 2ULL << 40);
    expect(value_size, "16777216t", -ERANGE, 0);
    expect(value_size, "12KiB", 0, 12 << 10);
    expect(value_size, "12miB", 0, 12 << 20);
    expect(value_size, "3GiB", 0, 3ULL << 30);
    expect(value_size, "3TiB", 0, 3ULL << 40);
    expect(value_size, "12KB", 0, 12000);
    expect(value_size, "12kB", 0, 12000);
    expect(value_size, "3MB", 0, 3000000);
    expect(value_size, "3GB", 0, 3000000000);
    expect(value_size, "18446744TB", 0, 18446744000000000000ULL);
    expect(value_size, "18446745TB", -ERANGE, 0);
    for (const char *const *bad =
             (const char *const[]){"", "K", "12X", "12Kb", "12KIB", "12Ki", "12B", "12iB", "12KBx",
                                   "12KiBs", "1.5M", "-1K", "1 K", "1P", "0x1K", NULL};
         *bad; bad++)
        expect(value_size, *bad, -EINVAL, 0);
}

static void times(void **state)
{
    (void)state;
    expect(value_time, "0", 0, 0);
    expect(value_time, "500us", 0, 500);
    expect(value_time, "5ms", 0, 5000);
    expect(value_time, "1s", 0, 1000000);
    expect(value_time, "1", -EINVAL, 0);
    expect(value_time, "ms", -EINVAL, 0);
    expect(value_time, "1.5ms", -EINVAL, 0);
    expect(value_time, "5ms ", -EINVAL, 0);
    expect(value_time, "99999999999999999999s", -ERANGE, 0);
    expect(value_time, "18446744073709551615ms", -ERANGE, 0);
}

static void seconds(void **state)
{
    (void)state;
    expect(value_seconds, "0", 0, 0);
    expect(value_seconds, "10", 0, 10000);
    expect(value_seconds, "0.5", 0, 500);
    expect(value_seconds, ".25", 0, 250);
    expect(value_seconds, "2.", 0, 2000);
    expect(value_seconds, "1.0004", 0, 1000);
    expect(value_seconds, "1.0005", 0, 1001);
    expect(value_seconds, "1.9999", 0, 2000);
    expect(value_seconds, "0.001000000000000000000000001", 0, 1);
    expect(value_seconds, "18446744073709551", 0, 18446744073709551000ULL);
    expect(value_seconds, "18446744073709552", -ERANGE, 0);
    expect(value_seconds, "18446744073709551616", -ERANGE, 0);
    for (const char *const *bad = (const char *const[]){"", ".", "-1", "+1", "1s", "1,5", "1.5.2",
                                                        "inf", "nan", "1e3", "0x2", " 1", NULL};
         *bad; bad++)
        expect(value_seconds, *bad, -EINVAL, 0);
}

static void modes(void **state)
{
    (void)state;
    expect(value_mode, "0", 0, 0);
    expect(value_mode, "660", 0, 0660);
    expect(value_mode, "7777", 0, 07777);
    for (const char *const *bad = (const char *const[]){"", "8", "00000", "-1", " 1", "rw", NULL};
         *bad; bad++)
        expect(value_mode, *bad, -EINVAL, 0);
}

static void escapes(void **state)
{
    char bytes[8];

    (void)state;
    assert_int_equal(value_unescape("", bytes, sizeof(bytes)), 0);
    assert_int_equal(value_unescape("a\\n\\t\\\\n", bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "a\n\t\\n", 5);
    assert_int_equal(value_unescape("12345678", bytes, sizeof(bytes)), 8);
    assert_int_equal(value_unescape("1234567\\n", bytes, sizeof(bytes)), 8);
    assert_int_equal(value_unescape("123456789", bytes, sizeof(bytes)), -E2BIG);
    assert_int_equal(value_unescape("\\q", bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(value_unescape("ends \\", bytes, sizeof(bytes)), -EINVAL);
}

static void texts(void **state)
{
    char text[VALUE_TEXT_SIZE];

    (void)state;
    assert_string_equal(value_count_text(7, text), "7");
    assert_string_equal(value_mode_text(0660, text), "660");
    assert_string_equal(value_size_text(0, text), "0");
    assert_string_equal(value_size_text(1023, text), "1023");
    assert_string_equal(value_size_text(262144, text), "256K");
    assert_string_equal(value_size_text(1ULL << 40, text), "1T");
    assert_string_equal(value_size_text(UINT64_MAX, text), "18446744073709551615");
    assert_string_equal(value_seconds_text(1500, text), "1.5");
    assert_string_equal(value_seconds_text(1000000000, text), "1000000");
    assert_string_equal(value_amount_text(0, text), "0 bytes");
    assert_string_equal(value_amount_text(1, text), "1 byte");
    assert_string_equal(value_amount_text(1023, text), "1023 bytes");
    assert_string_equal(value_amount_text(1280.0 * 1024 * 1024, text), "1.25 GiB");
    assert_string_equal(value_amount_text(200.0 * 1024, text), "200 KiB");
}

/* ---- the table ------------------------------------------------------------------------------- */

struct settings {
    struct option_list list;
    const char *text;
    bool flag;
    uint64_t size;
    unsigned count, time, choice, mode;
    uint32_t guard;
    const char *word;
};

#define AT(member) OPTION_AT(struct settings, member)

static const struct option_row rows[] = {
    {OPTION_HEADING, .name = "Some"},
    {OPTION_LIST, 'l', "list", "WORD", AT(list), .help = "words"},
    {OPTION_TEXT, 't', "text", "TEXT", AT(text), .help = "a text"},
    {OPTION_FLAG, 'f', "flag", AT(flag), .help = "one\ntwo"},
    {OPTION_COUNT, 'n', "count", "N", AT(count), .least = 1, .most = 10, .help = "a count"},
    {OPTION_SIZE, .name = "buffer-size", .argument = "SIZE", AT(size), .least = 1, .most = 1 << 20,
     .help = "a size"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(time), .least = 100,
     .most = 9000, .implied = "1", .help = "a time"},
    {OPTION_CHOICE, .name = "choice", .argument = "json|text|none", AT(choice), .help = "a choice"},
    {OPTION_WORD, .name = "word", .argument = "up|down", AT(word), .help = "a word"},
    {OPTION_MODE, .name = "mode", .argument = "MODE", AT(mode), .most = 0777, .none = 01000,
     .help = "a mode"},
    {.kind = OPTION_END},
};

enum { WORDS_MAX = 16 };

/* Reads words, which end in NULL, as the command's. */
static int read_words(const char *const *words, char **argv, struct settings *settings)
{
    int argc = 1;

    argv[0] = (char[]){"command"};
    for (; *words; words++)
        argv[argc++] = (char *)*words;
    argv[argc] = NULL;
    *settings =
        (struct settings){.text = "default", .count = 5, .choice = UNTOUCHED, .guard = UNTOUCHED};
    return options_read(rows, argc, argv, settings);
}

#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL}, argv, &settings)

static void good_options(void **state)
{
    char *argv[WORDS_MAX];
    struct settings settings;

    (void)state;
    assert_int_equal(READ("operand"), 1);
    assert_string_equal(settings.text, "default");
    assert_int_equal(settings.count, 5);
    assert_int_equal(settings.choice, UNTOUCHED);
    assert_null(settings.list.words[0]);
    free(settings.list.words);

    assert_int_equal(
        READ("-la", "operand", "--list=b", "--list", "c", "-f", "-f", "-t", "x", "-n", "3"), 11);
    assert_string_equal(argv[11], "operand");
    assert_int_equal(settings.list.count, 3);
    assert_string_equal(settings.list.words[0], "a");
    assert_string_equal(settings.list.words[1], "b");
    assert_string_equal(settings.list.words[2], "c");
    assert_null(settings.list.words[3]);
    assert_true(settings.flag);
    assert_string_equal(settings.text, "x");
    assert_int_equal(settings.count, 3);
    free(settings.list.words);

    assert_int_equal(READ("--buffer-size=256K", "--progress", "--choice=none", "--", "-f"), 5);
    assert_int_equal(settings.size, 256 << 10);
    assert_int_equal(settings.time, 1000);
    assert_int_equal(settings.choice, 2);
    assert_null(settings.word);
    assert_int_equal(settings.mode, 0);
    assert_false(settings.flag);
    free(settings.list.words);

    assert_int_equal(READ("--progress=2.5", "--choice=json", "--text="), 4);
    assert_int_equal(settings.time, 2500);
    assert_int_equal(settings.choice, 0);
    assert_string_equal(settings.text, "");
    free(settings.list.words);

    assert_int_equal(READ("--word=down", "--mode=660"), 3);
    assert_string_equal(settings.word, "down");
    assert_int_equal(settings.mode, 0660);
    assert_int_equal(settings.guard, UNTOUCHED);
    free(settings.list.words);
    assert_int_equal(READ("--mode=0"), 2);
    assert_int_equal(settings.mode, 01000);
    free(settings.list.words);
}

static void another_commands_words(void **state)
{
    char *argv[WORDS_MAX] = {(char[]){"command"}};
    struct settings settings = {.count = 5};
    static const struct {
        const char *words[8];
        int operand, behind;
    } cases[] = {
        {{"to", "-f", "file"}, 2, 0},
        {{"-f", "to", "--", "tar", "-f", "x"}, 3, 4},
        {{"to", "-f", "--", "tar"}, 3, 4},
        {{"to", "--"}, 2, 3},
        {{"to", "file", "--", "tar", "--", "x"}, 2, 4},
        {{"--", "tar"}, 2, 2},
        /* The first is a value. */
        {{"to", "-t", "--", "--", "-n"}, 4, 5},
        {{"to", "--text", "--"}, 3, 0},
        {{"-ft", "--", "to"}, 3, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int argc = 1, behind = UNTOUCHED, count;

        while (cases[i].words[argc - 1]) {
            argv[argc] = (char *)cases[i].words[argc - 1];
            argc++;
        }
        argv[argc] = NULL;
        count = options_read_command(rows, argc, argv, &settings, &behind);
        if (count != cases[i].operand || behind != cases[i].behind)
            fail_msg("case %zu: operands from %d, behind %d", i, count, behind);
        if (count < argc && count != behind)
            assert_string_equal(argv[count], "to");
        if (behind && behind < argc)
            assert_true(argv[behind] == cases[i].words[behind - 1]);
        free(settings.list.words);
    }
}

static void bad_options(void **state)
{
    static const char *const bad[] = {
        "--count=0",
        "--count=11",
        "--count=x",
        "--count",
        "-n",
        "--flag=1",
        "--buffer-size=12X",
        "--buffer-size=2M",
        "--progress=0.01",
        "--progress=10",
        "--choice=xml",
        "--choice=jso",
        "--choice=",
        "--word=left",
        "--mode=888",
        "--mode=1000",
        "--mode=00777",
        "--chioce=json",
        "--unknown",
        "-x",
        "--",
        NULL,
    };
    char *argv[WORDS_MAX];
    struct settings settings;

    (void)state;
    for (const char *const *option = bad; strcmp(*option, "--") != 0; option++) {
        if (READ(*option) != -EINVAL)
            fail_msg("%s was taken", *option);
        free(settings.list.words);
    }
    assert_int_equal(READ("--count=1", "-n", "1"), -EINVAL); /* given twice */
    free(settings.list.words);
}

static void guesses(void **state)
{
    static const char *const names[] = {"backend", "buffer-size", "buffers", "quiet", NULL};

    (void)state;
    assert_string_equal(options_guess("bufer-size", names), "buffer-size");
    assert_string_equal(options_guess("buffer", names), "buffers");
    assert_string_equal(options_guess("bakcend", names), "backend");
    assert_string_equal(options_guess("queit", names), "quiet");
    assert_null(options_guess("frobnicate", names));
    assert_null(options_guess("", names));
    assert_null(options_guess("a-word-that-is-longer-than-any-option-is", names));
}

static void help(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    options_help(rows, out);
    fclose(out);
    assert_string_equal(text, "\nSome:\n"
                              "  -l, --list=WORD           words\n"
                              "  -t, --text=TEXT           a text\n"
                              "  -f, --flag                one\n"
                              "                            two\n"
                              "  -n, --count=N             a count\n"
                              "      --buffer-size=SIZE    a size\n"
                              "      --progress[=SECONDS]  a time\n"
                              "      --choice=json|text|none\n"
                              "                            a choice\n"
                              "      --word=up|down        a word\n"
                              "      --mode=MODE           a mode\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),       cmocka_unit_test(sizes),
        cmocka_unit_test(seconds),      cmocka_unit_test(times),
        cmocka_unit_test(escapes),      cmocka_unit_test(texts),
        cmocka_unit_test(good_options), cmocka_unit_test(bad_options),
        cmocka_unit_test(guesses),      cmocka_unit_test(help),
        cmocka_unit_test(modes),        cmocka_unit_test(another_commands_words),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
