// SPDX-License-Identifier: MIT

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Netty as people use it: NIO, a boss and a worker, a handler in each pipeline.
 *
 * Receiver PORT STREAMS [print]: see ../README.md.
 */
public final class Receiver {
    private static final AtomicLong total = new AtomicLong();
    private static CountDownLatch left;
    private static boolean prints;

    private static final class Handler extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message)
                throws IOException {
            ByteBuf data = (ByteBuf) message;

            try {
                total.addAndGet(data.readableBytes());
                if (prints) {
                    data.readBytes(System.out, data.readableBytes());
                }
            } finally {
                data.release();
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            left.countDown();
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            cause.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static void serve(int port, EventLoopGroup boss, EventLoopGroup worker)
            throws InterruptedException {
        Channel server =
                new ServerBootstrap()
                        .group(boss, worker)
                        .channel(NioServerSocketChannel.class)
                        .option(ChannelOption.SO_BACKLOG, 4096)
                        .childHandler(
                                new ChannelInitializer<SocketChannel>() {
                                    @Override
                                    public void initChannel(SocketChannel channel) {
                                        channel.pipeline().addLast(new Handler());
                                    }
                                })
                        .bind("127.0.0.1", port)
                        .sync()
                        .channel();

        left.await();
        server.close().sync();
    }

    public static void main(String[] arguments) throws InterruptedException {
        EventLoopGroup boss = new NioEventLoopGroup(1);
        EventLoopGroup worker = new NioEventLoopGroup(1);

        left = new CountDownLatch(Integer.parseInt(arguments[1]));
        prints = arguments.length > 2;
        serve(Integer.parseInt(arguments[0]), boss, worker);
        if (!prints) {
            System.out.println(total.get());
        }
        System.out.flush();
        /* The event loops would take two seconds to become quiet. */
        Runtime.getRuntime().halt(0);
    }
}
