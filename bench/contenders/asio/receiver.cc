/* SPDX-License-Identifier: MIT */
/* Asio as people use it: a session for each connection that keeps itself alive, one io_context in
 * one thread. Compiled once for epoll and once for io_uring.
 *
 * receiver PORT STREAMS [print|latencies]: see ../README.md. */
#include <asio.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

using asio::ip::tcp;

namespace
{

constexpr std::size_t message_size = 64;

enum class wanted { count, content, latencies };

struct server {
    asio::io_context context{1};
    tcp::acceptor acceptor;
    unsigned left;
    wanted what;
    std::uint64_t bytes = 0;
    std::string told;

    server(unsigned short port, unsigned streams, wanted what_is)
        : acceptor(context, {asio::ip::address_v4::loopback(), port}), left(streams), what(what_is)
    {
    }

    void accept();
    void ended();
    void tell(std::uint64_t number)
    {
        told.append(reinterpret_cast<const char *>(&number), sizeof(number));
    }
};

struct session : std::enable_shared_from_this<session> {
    server &owner;
    tcp::socket socket;
    std::string content;
    std::size_t have = 0; /* of a message whose rest is still to come */
    char data[64 * 1024];

    session(server &its_owner, tcp::socket its_socket)
        : owner(its_owner), socket(std::move(its_socket))
    {
    }

    void receive()
    {
        socket.async_read_some(
            asio::buffer(data + have, sizeof(data) - have),
            [self = shared_from_this()](std::error_code error, std::size_t size) {
                self->take(size);
                if (!error)
                    self->receive();
                else if (error == asio::error::eof)
                    self->end();
                else
                    std::exit(1);
            });
    }

    void take(std::size_t size)
    {
        owner.bytes += size;
        if (owner.what == wanted::content)
            content.append(data, size);
        else if (owner.what == wanted::latencies)
            read_messages(have + size);
    }

    void read_messages(std::size_t size)
    {
        const std::uint64_t now = static_cast<std::uint64_t>(
            std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
        std::size_t at = 0;

        for (; size - at >= message_size; at += message_size) {
            std::uint64_t due;

            std::memcpy(&due, data + at, sizeof(due));
            if (due)
                owner.tell(now - due);
        }
        have = size - at;
        std::memmove(data, data + at, have);
    }

    void end()
    {
        owner.told += content;
        owner.ended();
    }
};

void server::accept()
{
    acceptor.async_accept([this](std::error_code error, tcp::socket socket) {
        if (error == asio::error::operation_aborted)
            return;
        if (error)
            std::exit(1);
        std::make_shared<session>(*this, std::move(socket))->receive();
        accept();
    });
}

void server::ended()
{
    if (--left == 0)
        context.stop();
}

wanted wanted_by(int argc, char **argv)
{
    if (argc < 4)
        return wanted::count;
    return std::strcmp(argv[3], "print") == 0 ? wanted::content : wanted::latencies;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    server all(static_cast<unsigned short>(std::atoi(argv[1])),
               static_cast<unsigned>(std::atoi(argv[2])), wanted_by(argc, argv));

    all.accept();
    all.context.run();
    if (all.what != wanted::content)
        std::printf("%llu\n", static_cast<unsigned long long>(all.bytes));
    std::fwrite(all.told.data(), 1, all.told.size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
