// SPDX-License-Identifier: MIT

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.FixedLengthFrameDecoder;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Netty as people use it: NIO, a boss and a worker, a handler in each pipeline.
 *
 * Receiver PORT STREAMS [print|latencies]: see ../README.md.
 */
public final class Receiver {
    private static final int MESSAGE_SIZE = 64;

    private static final AtomicLong total = new AtomicLong();
    /* Besides the number of bytes; the worker's until all streams have ended. */
    private static final ByteBuf told = Unpooled.buffer();
    private static CountDownLatch left;

    private static class Counter extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            ByteBuf data = (ByteBuf) message;

            try {
                total.addAndGet(data.readableBytes());
                take(data);
            } finally {
                data.release();
            }
        }

        void take(ByteBuf data) {}

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

    private static final class Keeper extends Counter {
        private final ByteBuf content = Unpooled.buffer();

        @Override
        void take(ByteBuf data) {
            content.writeBytes(data);
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            told.writeBytes(content);
            super.channelInactive(context);
        }
    }

    private static final class Stopwatch extends Counter {
        @Override
        void take(ByteBuf message) {
            long due = message.readLongLE();

            if (due != 0) {
                told.writeLongLE(System.nanoTime() - due);
            }
        }
    }

    private static void handle(ChannelPipeline pipeline, String wanted) {
        switch (wanted) {
            case "count":
                pipeline.addLast(new Counter());
                break;
            case "print":
                pipeline.addLast(new Keeper());
                break;
            default:
                pipeline.addLast(new FixedLengthFrameDecoder(MESSAGE_SIZE), new Stopwatch());
                break;
        }
    }

    private static void serve(
            int port, String wanted, EventLoopGroup boss, EventLoopGroup worker)
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
                                        handle(channel.pipeline(), wanted);
                                    }
                                })
                        .bind("127.0.0.1", port)
                        .sync()
                        .channel();

        left.await();
        server.close().sync();
    }

    public static void main(String[] arguments) throws InterruptedException, IOException {
        EventLoopGroup boss = new NioEventLoopGroup(1);
        EventLoopGroup worker = new NioEventLoopGroup(1);
        String wanted = arguments.length > 2 ? arguments[2] : "count";

        left = new CountDownLatch(Integer.parseInt(arguments[1]));
        serve(Integer.parseInt(arguments[0]), wanted, boss, worker);
        if (!wanted.equals("print")) {
            System.out.println(total.get());
        }
        told.readBytes(System.out, told.readableBytes());
        System.out.flush();
        /* The event loops would take two seconds to become quiet. */
        Runtime.getRuntime().halt(0);
    }
}
