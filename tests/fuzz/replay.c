/* SPDX-License-Identifier: MIT */
/* In place of libFuzzer: TARGET FILE-OR-DIRECTORY... runs the target over each file. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20 };

static unsigned inputs;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    size_t size;

    if (!file || !data)
        fuzz_fail("%s: %s", path, strerror(errno));
    size = fread(data, 1, INPUT_MAX, file);
    if (ferror(file) || !feof(file))
        fuzz_fail("%s: can't be read, or is too large", path);
    fclose(file);
    /* The last line, if the target aborts. */
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);

    if (count < 0)
        fuzz_fail("%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char name[PATH_MAX];

        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat status;

        if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
            run_directory(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%u inputs\n", inputs);
    return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
