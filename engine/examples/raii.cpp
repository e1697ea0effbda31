// SPDX-License-Identifier: MIT
//
// C++17 with a wrapper of its own: an engine that closes itself, and a sink that is a class whose
// objects are the streams.
//
//     raii ADDRESS
//
// Shows: structs that set their own size, state of a stream that is constructed in place, and
// exceptions that don't cross C code. Two streams are served, and told their longest word.
#include <lastbyte/lastbyte.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lastbyte {

// What a sink may do with its stream; valid for the time of a call.
class stream {
public:
    explicit stream(lb_stream *handle) : handle(handle) {}
    void say(std::string_view text) { lb_stream_say(handle, text.data(), text.size()); }

private:
    lb_stream *handle;
};

// Of a class with take(stream, bytes) and end(stream, lb_end): an object of it for each stream.
template <typename Receiver> struct sink_of {
    static Receiver &self(lb_stream *handle)
    {
        return *std::launder(reinterpret_cast<Receiver *>(lb_stream_state(handle)));
    }
    template <typename Body> static int guard(Body body)
    {
        try {
            body();
            return 0;
        } catch (...) {
            return -EIO;
        }
    }
    static int open(lb_stream *handle, void *)
    {
        return guard([&] { new (lb_stream_state(handle)) Receiver; });
    }
    static ssize_t write(lb_stream *handle, void *, const void *data, std::size_t size)
    {
        int rc = guard([&] {
            stream of(handle);
            self(handle).take(of, {static_cast<const char *>(data), size});
        });
        return rc < 0 ? rc : static_cast<ssize_t>(size);
    }
    static int end(lb_stream *handle, void *, lb_end reason)
    {
        int rc = guard([&] {
            stream of(handle);
            self(handle).end(of, reason);
        });
        self(handle).~Receiver();
        return rc;
    }
    static lb_sink make()
    {
        static_assert(alignof(Receiver) <= 16, "states are aligned to 16");
        lb_sink made{}; // its size sets itself
        made.name = "receiver";
        made.state_size = sizeof(Receiver);
        made.open = open;
        made.write = write;
        made.end = end;
        return made;
    }
};

class engine {
public:
    engine(std::vector<const char *> listen, const lb_sink &sink, unsigned count)
        : addresses(std::move(listen))
    {
        lb_config config;
        lb_error why{};
        lb_engine *opened = nullptr;

        addresses.push_back(nullptr);
        lb_config_init(&config);
        config.listen = addresses.data();
        config.sink = &sink;
        config.count = count;
        if (lb_engine_open(&opened, &config, &why) < 0)
            throw std::runtime_error(why.text);
        handle.reset(opened);
    }
    const char *address() const { return lb_engine_address(handle.get(), 0); }
    void run()
    {
        if (lb_engine_start(handle.get()) == 0)
            lb_engine_wait(handle.get(), -1);
    }

private:
    std::vector<const char *> addresses; // borrowed by the engine
    std::unique_ptr<lb_engine, int (*)(lb_engine *)> handle{nullptr, lb_engine_close};
};

} // namespace lastbyte

// The program's own part: the longest word of each stream.
struct words {
    std::string longest, current;

    void take(lastbyte::stream &, std::string_view bytes)
    {
        for (char byte : bytes) {
            if (byte == ' ' || byte == '\n')
                current.clear();
            else if ((current += byte).size() > longest.size())
                longest = current;
        }
    }
    void end(lastbyte::stream &of, lb_end reason)
    {
        if (reason == LB_END_EOF)
            of.say("the longest word is " + longest + "\n");
    }
};

int main(int argc, char **argv)
{
    static const lb_sink sink = lastbyte::sink_of<words>::make();

    try {
        lastbyte::engine engine({argc > 1 ? argv[1] : ":1090"}, sink, 2);

        std::fprintf(stderr, "listening on %s\n", engine.address());
        engine.run();
        return 0;
    } catch (const std::exception &why) {
        std::fprintf(stderr, "%s\n", why.what());
        return 1;
    }
}
