// SPDX-License-Identifier: MIT
// Hands the benchmarks to Google Benchmark, and what they tell to its reports.
extern "C" {
#include "start.h"
}

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace
{

// What this was built with; from meson.build.
const struct {
    const char *name, *text;
} versions[] = {
    {"lastbyte_version", BENCH_VERSION}, {"compiler", BENCH_COMPILER}, {"build", BENCH_BUILD},
    {"liburing", BENCH_LIBURING},        {"libuv", BENCH_LIBUV},       {"libevent", BENCH_LIBEVENT},
};

bool failed;

void run(benchmark::State &state, suite_case *chosen)
{
    figures figures = {};
    char why[SUITE_WHY_SIZE];

    for (auto _ : state) {
        if (suite_case_run(chosen, &figures, why) < 0) {
            state.SkipWithError(why);
            failed = true;
            return;
        }
        state.SetIterationTime(*figures_find(&figures, "wall_s"));
    }
    for (size_t i = 0; i < figures.count; i++)
        state.counters[figures.items[i].name] = figures.items[i].value;
    state.SetLabel(suite_case_label(chosen));
}

// A line for each run, with the figures that say most about its workload.
class Lines : public benchmark::BenchmarkReporter
{
  public:
    explicit Lines(suite *suite)
    {
        for (size_t i = 0; suite_case *chosen = suite_at(suite, i); i++)
            cases[suite_case_name(chosen)] = chosen;
    }

    bool ReportContext(const Context &) override
    {
        return true;
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &run : runs) {
            const std::string kind = run.aggregate_name.empty() ? "" : " " + run.aggregate_name;

            std::printf("%s%s:", run.run_name.function_name.c_str(), kind.c_str());
            if (run.error_occurred)
                std::printf(" FAILED: %s", run.error_message.c_str());
            else
                print_figures(run);
            std::printf("\n");
            std::fflush(stdout);
        }
    }

  private:
    std::map<std::string, suite_case *> cases;

    void print_figures(const Run &run)
    {
        auto chosen = cases.find(run.run_name.function_name);

        if (chosen == cases.end())
            return;
        for (const char *const *name = suite_case_figures(chosen->second); *name; name++) {
            auto counter = run.counters.find(*name);

            if (counter != run.counters.end())
                std::printf(" %s=%.4g", *name, static_cast<double>(counter->second.value));
        }
        if (!run.report_label.empty())
            std::printf(" (%s)", run.report_label.c_str());
    }
};

void add_context(const suite *suite)
{
    const options *options = suite_options(suite);

    benchmark::AddCustomContext("receiver_core", std::to_string(options->receiver_core));
    benchmark::AddCustomContext("sender_core", std::to_string(options->sender_core));
    benchmark::AddCustomContext("congestion", options->congestion);
    benchmark::AddCustomContext("rcvbuf", std::to_string(options->rcvbuf));
    benchmark::AddCustomContext("missing", suite_missing(suite));
    for (const auto &version : versions)
        benchmark::AddCustomContext(version.name, version.text);
}

void add_benchmarks(suite *suite)
{
    for (size_t i = 0; suite_case *chosen = suite_at(suite, i); i++)
        benchmark::RegisterBenchmark(suite_case_name(chosen), run, chosen)
            ->Iterations(1)
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
}

// Google Benchmark's own output, where its flag asks for it.
bool own_format(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (std::strncmp(argv[i], "--benchmark_format", 18) == 0)
            return true;
    return false;
}

} // namespace

int main(int argc, char **argv)
{
    suite *suite = nullptr;
    int status = start(&suite, &argc, argv);

    if (status >= 0)
        return status;
    const bool quiet = own_format(argc, argv);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    add_context(suite);
    add_benchmarks(suite);
    Lines lines(suite);
    benchmark::RunSpecifiedBenchmarks(quiet ? nullptr : &lines);
    benchmark::Shutdown();
    suite_close(suite);
    return failed ? 1 : 0;
}
