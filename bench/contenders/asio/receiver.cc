/* SPDX-License-Identifier: MIT */
/* Asio as people use it: a session for each connection that keeps itself alive, one io_context in
 * one thread. Compiled once for epoll and once for io_uring.
 *
 * receiver PORT STREAMS [print]: see ../README.md. */
#include <asio.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

using asio::ip::tcp;

namespace
{

struct server {
    asio::io_context context{1};
    tcp::acceptor acceptor;
    unsigned left;
    bool print;
    std::uint64_t bytes = 0;

    server(unsigned short port, unsigned streams, bool prints)
        : acceptor(context, {asio::ip::address_v4::loopback(), port}), left(streams), print(prints)
    {
    }

    void accept();
    void ended();
};

struct session : std::enable_shared_from_this<session> {
    server &owner;
    tcp::socket socket;
    char data[64 * 1024];

    session(server &its_owner, tcp::socket its_socket)
        : owner(its_owner), socket(std::move(its_socket))
    {
    }

    void receive()
    {
        socket.async_read_some(asio::buffer(data), [self = shared_from_this()](
                                                       std::error_code error, std::size_t size) {
            self->owner.bytes += size;
            if (self->owner.print)
                std::fwrite(self->data, 1, size, stdout);
            if (!error)
                self->receive();
            else if (error == asio::error::eof)
                self->owner.ended();
            else
                std::exit(1);
        });
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

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    server all(static_cast<unsigned short>(std::atoi(argv[1])),
               static_cast<unsigned>(std::atoi(argv[2])), argc > 3);

    all.accept();
    all.context.run();
    if (!all.print)
        std::printf("%llu\n", static_cast<unsigned long long>(all.bytes));
    return std::fflush(stdout) == 0 ? 0 : 1;
}
