/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many bytes at data are the beginning of some peer's payload; *whole if they are all of it. */
static size_t match(const struct run *run, const uint8_t *data, size_t size, bool *whole)
{
    uint64_t tag = 0;
    uint8_t *payload;
    size_t expected, same = 0;

    *whole = false;
    if (size < sizeof(tag))
        return size;
    memcpy(&tag, data, sizeof(tag));
    expected = scenario_size(run->scenario, tag);
    if (expected == 0)
        return 0;
    payload = malloc(expected);
    payload_fill(tag, 0, payload, expected);
    while (same < size && same < expected && data[same] == payload[same])
        same++;
    free(payload);
    *whole = same == expected;
    return same;
}

/* Counts the whole payloads in a sequence of payloads, of which some may be broken off. */
static unsigned count_whole(const struct run *run, const uint8_t *data, size_t size,
                            unsigned *broken_off)
{
    unsigned count = 0;

    *broken_off = 0;
    while (size > 0) {
        bool whole;
        size_t same = match(run, data, size, &whole);

        if (same == 0) {
            *broken_off = UINT32_MAX;
            return count;
        }
        count += whole;
        *broken_off += !whole;
        data += same;
        size -= same;
    }
    return count;
}

/* More than all peers send. */
enum { LOAD_MAX = 4 << 20 };

static uint8_t *load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = malloc(LOAD_MAX);

    *size = file ? fread(data, 1, LOAD_MAX, file) : 0;
    if (file)
        fclose(file);
    return data;
}

static unsigned count_in_file(const struct run *run, const char *path, unsigned *broken_off)
{
    size_t size;
    uint8_t *data = load(path, &size);
    unsigned count = count_whole(run, data, size, broken_off);

    free(data);
    return count;
}

static bool is_published(const char *name)
{
    return name[0] != '.' && strcmp(name, "socket") != 0 && !strstr(name, ".partial");
}

/* dir: what has a final name is whole. */
static unsigned check_directory(struct run *run)
{
    DIR *directory = opendir(run->scenario->directory);
    const struct dirent *entry;
    unsigned count = 0;

    while (directory && (entry = readdir(directory))) {
        char path[600];
        unsigned broken_off;

        if (!is_published(entry->d_name))
            continue;
        snprintf(path, sizeof(path), "%s/%s", run->scenario->directory, entry->d_name);
        if (count_in_file(run, path, &broken_off) != 1 || broken_off)
            scenario_break(run->outcome, "%s is published and not whole", entry->d_name);
        count++;
    }
    if (directory)
        closedir(directory);
    return count;
}

/* file, appending: a sequence of whole streams. */
static unsigned check_file(struct run *run)
{
    char path[600];
    unsigned broken_off, count;

    snprintf(path, sizeof(path), "%s/out", run->scenario->directory);
    count = count_in_file(run, path, &broken_off);
    if (broken_off)
        scenario_break(run->outcome, "the file has %u whole streams and others", count);
    return count;
}

/* exec: the commands wrote a file for each stream; of one that was not complete it may be a part.
 */
static unsigned check_commands(struct run *run)
{
    for (unsigned i = 0; i < run->claims; i++) {
        char path[600];
        unsigned broken_off;

        snprintf(path, sizeof(path), "%s/%lu", run->scenario->directory, run->ids[i]);
        if (count_in_file(run, path, &broken_off) != 1 || broken_off)
            scenario_break(run->outcome, "stream %lu is not whole", run->ids[i]);
    }
    return run->claims;
}

void results_check(struct run *run)
{
    const char *sink = run->scenario->sink;
    unsigned count = run->claims, broken_off;

    if (strcmp(sink, "dir") == 0)
        count = check_directory(run);
    else if (strcmp(sink, "file") == 0)
        count = check_file(run);
    else if (strcmp(sink, "exec") == 0)
        count = check_commands(run);
    else if (strcmp(sink, "stdout") == 0)
        count = count_whole(run, (const uint8_t *)run->output, run->output_size, &broken_off);
    if (count < run->claims)
        scenario_break(run->outcome, "%u streams are said to be complete, %u are", run->claims,
                       count);
}
