import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.Reducer;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;

/** The peer: lines of predicted,actual,… in, right and all under one key out, by one reducer. */
public class Accuracy {
  public static class Pairs extends Mapper<LongWritable, Text, Text, LongWritable> {
    private static final Text KEY = new Text("accuracy");
    private static final LongWritable RIGHT = new LongWritable((1L << 32) + 1), WRONG = new LongWritable(1);

    @Override
    protected void map(LongWritable at, Text line, Context context) throws IOException, InterruptedException {
      String[] fields = line.toString().split(",");
      for (int i = 0; i + 1 < fields.length; i += 2) {
        context.write(KEY, fields[i].equals(fields[i + 1]) ? RIGHT : WRONG);
      }
    }
  }

  public static class Sum extends Reducer<Text, LongWritable, Text, LongWritable> {
    @Override
    protected void reduce(Text key, Iterable<LongWritable> values, Context context)
        throws IOException, InterruptedException {
      long sum = 0;
      for (LongWritable value : values) sum += value.get();
      context.write(key, new LongWritable(sum));
    }
  }

  public static void main(String[] args) throws Exception {
    Configuration configuration = new Configuration();
    configuration.set("mapreduce.framework.name", "local");
    configuration.set("hadoop.tmp.dir", args[1] + ".tmp");
    Job job = Job.getInstance(configuration, "accuracy");
    job.setJarByClass(Accuracy.class);
    job.setMapperClass(Pairs.class);
    if (args.length > 2 && args[2].equals("combine")) job.setCombinerClass(Sum.class);
    job.setReducerClass(Sum.class);
    job.setNumReduceTasks(1);
    job.setOutputKeyClass(Text.class);
    job.setOutputValueClass(LongWritable.class);
    FileInputFormat.addInputPath(job, new Path(args[0]));
    FileOutputFormat.setOutputPath(job, new Path(args[1]));
    System.exit(job.waitForCompletion(false) ? 0 : 1);
  }
}
