/* SPDX-License-Identifier: MIT */
/* sinks [PATTERN]: the tests whose names match PATTERN, a shell wildcard. */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    /* As the library asks, and so that a limited file is an error in place of a death. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    failed += _cmocka_run_group_tests("output", output_tests, output_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("files", file_tests, file_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("left", left_tests, left_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("exec", exec_tests, exec_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("guardian", guardian_tests, guardian_test_count, NULL, NULL);
    if (!kernel_grow_old())
        puts("no seccomp here: what is done for older kernels is not tested");
    else
        failed += _cmocka_run_group_tests("output on an older kernel", output_tests,
                                          output_test_count, NULL, NULL) +
                  _cmocka_run_group_tests("files on an older kernel", file_tests, file_test_count,
                                          NULL, NULL) +
                  _cmocka_run_group_tests("left on an older kernel", left_tests, left_test_count,
                                          NULL, NULL);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
